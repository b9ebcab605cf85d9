"""How each library does the tasks. Only worker processes import these modules: each library has
a process, and some an environment, of its own."""
