"""A private, real MongoDB server for development, demonstrations and tests.

    with EmbeddedMongo() as server:
        client = MongoClient(server.uri)

``server`` is the replica set, ``member`` one ``mongod`` of it. ``binary`` finds the program and
explains why it did not start, ``platforms`` holds what differs between systems, ``wire`` sends one
command. ``processes`` speaks to the ``guardian``, a process that leaves nothing over.
"""

from __future__ import annotations

from datalayer.embedded.server import EmbeddedMongo

__all__ = ["EmbeddedMongo"]
