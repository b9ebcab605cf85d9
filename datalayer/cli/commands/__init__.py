"""One module a command: a plain function that takes explicit arguments and an ``Output`` and
returns an exit code, for other front ends too, and ``add_to``, its part of the command line."""
