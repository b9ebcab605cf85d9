"""What a step does, and what it looks at before.

- ``step``: a step before it is done
- ``changes``: what the server does by itself; ``values_of_fields``: what needs the documents here
- ``commands``: indexes and validators; ``transfers``: documents to other databases
- ``fields``: names of fields; ``kept``: what steps take away, kept for an undo
"""
