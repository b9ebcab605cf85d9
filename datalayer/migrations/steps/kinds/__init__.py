"""What a step does, and what it looks at before.

- ``changes``: what the server does by itself; ``values_of_fields``: what needs the documents here
- ``single``: indexes and transfers
- ``fields``: names of fields; ``kept``: what steps take away, kept for an undo
"""
