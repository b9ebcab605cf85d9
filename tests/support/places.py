"""The servers and the options of URIs that everything about transactions is tried with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from faulty_proxy import FaultyProxy
from pymongo import WriteConcern

from datalayer import db, transactions
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

PLAIN = ""
CAREFUL = "&w=majority&journal=true&readPreference=nearest&readConcernLevel=majority"


@dataclass(frozen=True)
class Place:
    """Servers, and the options that URIs have there."""

    server: EmbeddedMongo
    options: str

    @property
    def uri(self) -> str:
        """For looking at what is stored: of the primary, without the options."""
        return self.server.uri

    @property
    def primary(self) -> str:
        """The address of the primary, for a proxy before it."""
        return self.server.hosts[self.server.primary]

    def uri_for(self, database: str) -> str:
        return self.server.uri_for(database) + self.options

    def through(self, proxy: FaultyProxy, database: str) -> str:
        """A URI that leads to the primary by way of ``proxy``."""
        return proxy.uri_for(database) + self.options

    def settings(self) -> Settings:
        """Two fresh databases."""
        run = uuid.uuid4().hex[:10]
        aliases = ("default", "database1")
        return Settings(databases={each: self.uri_for(f"test_{each}_{run}") for each in aliases})


@contextmanager
def up_to_date() -> Iterator[None]:
    """What is read inside is what was written before, whatever member a URI prefers; what is
    read in a transaction goes its own way."""
    inside = transactions.current() is not None
    with nullcontext() if inside else db.read_from("primary"):
        yield


def cleared(settings: Settings) -> None:
    """Connect to ``settings``, if need be, and leave no document there. Indexes stay: building
    them takes longer than most tests."""
    db.connect_all(settings)
    for alias in settings:
        database: Any = registry.connection(alias).database
        for name in database.list_collection_names():
            if not name.startswith("system."):
                confirmed = database[name].with_options(write_concern=WriteConcern("majority"))
                confirmed.delete_many({})
