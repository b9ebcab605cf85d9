"""What greenlets see of each other, what a signal interrupts, and what is left of them in a
forked child; and a crowd of them at a small pool.

`gevent_greenlets.py apart|interrupted|forked|crowded`; prints JSON."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from deeds import Deed, Trace  # noqa: E402

from datalayer import Settings, db  # noqa: E402
from datalayer.errors import DeadlineExceededError, PoolExhaustedError  # noqa: E402
from datalayer.outbox import relay  # noqa: E402

logging.getLogger("datalayer").addHandler(logging.NullHandler())  # a signal is told otherwise


def workers_of(model: Any) -> list[int]:
    return sorted(document.worker for document in model.objects)


def apart() -> dict[str, Any]:
    """Another greenlet looks while this one is in the middle of its blocks."""
    seen: dict[str, Any] = {"from outside": []}

    def look() -> None:
        seen["from outside"].append(workers_of(Deed))
        Deed(worker=2).save()
        Trace(worker=2).save()

    with db.connected():
        Deed(worker=0).save()
        with db.transaction():
            Deed(worker=1).save()
            gevent.spawn(look).get()
            seen["from inside"] = workers_of(Deed)
        try:
            with db.deadline(0.001), db.using(default="database1"):
                gevent.spawn(look).get()
                Deed.objects.count()
        except DeadlineExceededError:
            seen["own deadline"] = "exceeded"
        seen["after all"] = [workers_of(Deed), workers_of(Trace)]
    return seen


def interrupted() -> dict[str, Any]:
    """Work that outlasts its grace, in a wait that no signal ends."""
    gevent.spawn_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
    try:
        with db.graceful_shutdown(0.01):
            threading.Event().wait(60)
    except SystemExit as exc:
        return {"exit code": exc.code}
    return {"exit code": None}


def forked() -> dict[str, Any]:
    """A child that leaves the outbox to its parent."""
    delivered = set()
    make_pass = relay.DeliveryPass

    def note(source: str, *, patient: bool) -> Any:
        delivered.add(os.getpid())
        return make_pass(source, patient=patient)

    relay.DeliveryPass = note  # type: ignore[assignment,misc]
    with db.connected():
        db.outbox.start(interval_seconds=0.01)
        child = os.fork()
        if child == 0:
            Deed(worker=1).save()
            gevent.sleep(0.3)
            os._exit(os.getpid() in delivered)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        Deed(worker=2).save()
        return {"child delivers": bool(code), "documents": workers_of(Deed)}


def crowded() -> dict[str, Any]:
    """Two hundred greenlets at a pool of two connections, and one that won't wait."""
    with db.connected(Settings.from_env(mongodb_max_pool_size=2)):
        Deed(worker=0).save()
        written = [gevent.spawn(Deed(worker=number).save) for number in range(1, 200)]
        at_most_waiting = 0
        while not all(each.dead for each in written):
            gevent.sleep(0)
            waiting = db.database.status_unasked(None)["pool"]["waiting"]
            at_most_waiting = max(at_most_waiting, waiting)
        slow = Deed.objects.where("sleep(600) || true").limit(1)
        held = [gevent.spawn(list, slow.clone()) for _ in range(2)]
        while db.database.status_unasked(None)["pool"]["in_use"] < 2:
            gevent.sleep(0)
        try:
            with db.deadline(0.05):
                Deed.objects.count()
            ended_by = "nothing"
        except PoolExhaustedError:
            ended_by = "its deadline, while it waited for a connection"
        still_held = sum(not each.dead for each in held)
        gevent.joinall(held)
        return {
            "written": len({each.get().pk for each in written}),
            "stored": Deed.objects.count(),
            "waited": at_most_waiting > 100,
            "ended by": ended_by,
            "held meanwhile": still_held,
            "waiting at the end": db.database.status_unasked(None)["pool"]["waiting"],
        }


CASES = {"apart": apart, "interrupted": interrupted, "forked": forked, "crowded": crowded}
print(json.dumps(CASES[sys.argv[1]]()))
