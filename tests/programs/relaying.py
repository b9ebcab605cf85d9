"""Delivers from the outbox until it is killed: `relaying.py DEFAULT_URI DATABASE1_URI`."""

import sys

from datalayer import Settings, db

db.connect_all(Settings(databases={"default": sys.argv[1], "database1": sys.argv[2]}))
print("ready", flush=True)
while True:
    db.outbox.deliver()
