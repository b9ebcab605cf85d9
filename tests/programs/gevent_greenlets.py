"""What greenlets see of each other, what a signal interrupts, and what is left of them in a
forked child: `gevent_greenlets.py apart|interrupted|forked`; prints JSON."""

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

from datalayer import db  # noqa: E402
from datalayer.errors import DeadlineExceededError  # noqa: E402
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


print(json.dumps({"apart": apart, "interrupted": interrupted, "forked": forked}[sys.argv[1]]()))
