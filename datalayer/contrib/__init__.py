"""Integrations with frameworks, servers and monitoring systems. Each imports what it is for, so
nothing is imported here."""
