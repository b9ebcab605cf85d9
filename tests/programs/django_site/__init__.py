"""A small Django project, for the tests: its settings come from the environment."""
