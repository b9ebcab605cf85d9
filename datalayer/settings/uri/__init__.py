"""A MongoDB URI: read without asking any server, checked by the driver's rules, and shown without
its secrets."""
