"""The code that is made for a class: to load, construct, validate and write its documents."""
