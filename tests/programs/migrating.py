"""Applies and undoes a migration of eight steps, each time in a child of its own that is killed
after a while.

Reads a line of JSON for each: the databases' URIs, the direction, the run, and after how many
seconds of work the child is killed (none: not at all). Answers with a line: how many seconds it
took, or null after a kill.
"""

from __future__ import annotations

import os
import signal
import threading
from time import perf_counter, sleep
from typing import Any

from mongoengine.fields import IntField, StringField
from orders import answer_orders

from datalayer import Settings, db
from datalayer.documents import Document
from datalayer.lease import Lease, holding
from datalayer.migrations.history import History
from datalayer.migrations.steps import Migration

LEASE_SECONDS = 30.0


class User(Document):
    """Of the fields that are there after the first steps."""

    id = IntField(primary_key=True)
    number = IntField()
    visits = IntField()
    note = StringField()
    meta = {"collection": "members", "strict": False, "auto_create_index": False}


def visit(user: User) -> None:
    """Does not come to the same when it is done twice."""
    user.visits += 1


def leave(user: User) -> None:
    """Takes ``visit`` back."""
    user.visits -= 1


def apply(m: Migration) -> None:
    """All kinds of steps."""
    m.rename_field(User, "name", "title")
    m.set_default("members", "active", True)
    m.update(User, {"number": {"$gte": 10}}, {"$inc": {"number": 1000}})
    m.convert("members", "code", lambda value: value + "x")
    m.remove_field("members", "legacy")
    m.each(User, visit)
    m.build_index("members", "title")
    m.update(("database1", "logs"), {}, {"$push": {"seen": 1}})


def undo(m: Migration) -> None:
    """The same, backwards."""
    m.update(("database1", "logs"), {}, {"$pop": {"seen": 1}})
    m.drop_index("members", "title")
    m.each(User, leave)
    m.restore_field("members", "legacy")
    m.restore_field("members", "code")
    m.update(User, {"number": {"$gte": 1010}}, {"$inc": {"number": -1000}})
    m.remove_field("members", "active")
    m.rename_field(User, "title", "name")


def kill_after(seconds: float) -> None:
    """End this process in the middle of what it does."""

    def kill() -> None:
        sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


def work(order: dict[str, Any]) -> float:
    """Do what the order says; how long it took."""
    databases = {
        alias: {"uri": uri, "auto_index": False, "auto_create": False, "min_pool_size": 0}
        for alias, uri in order["uris"].items()
    }
    with db.connected(Settings(databases=databases)):
        history = History()
        history.ensure()
        with holding(Lease(history, LEASE_SECONDS), LEASE_SECONDS) as lease:
            direction = order["direction"]
            m = Migration("0001_all", order["run"], direction, lease=lease, batch=50)
            started = perf_counter()
            if order["seconds"] is not None:
                kill_after(order["seconds"])
            (apply if direction == "apply" else undo)(m)
            return perf_counter() - started


if __name__ == "__main__":
    answer_orders(work, float)
