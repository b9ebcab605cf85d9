"""One module a topic."""
