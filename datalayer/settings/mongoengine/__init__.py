"""What applications gave to ``mongoengine.connect`` before, as datalayer's variables.

- `connect_arguments`: the URI that says what the keyword arguments say.
- `connect_options`: the options among them.
- `flat_keys`: Flask's keys of one database, which are not read.
"""
