"""A private, real MongoDB server for development, demonstrations and tests.

with EmbeddedMongo() as server:
    client = MongoClient(server.uri)
"""

from __future__ import annotations

from datalayer.embedded.server import EmbeddedMongo

__all__ = ["EmbeddedMongo"]
