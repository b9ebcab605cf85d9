"""What the hooks of servers' worker processes share: connect at the start, close at the end, and
tell in time of pools that the server has no room for."""

from __future__ import annotations

import logging
import threading

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.doctor import examine
from datalayer.health import verdict

__all__ = ["check_pool_budget", "connect", "disconnect"]

logger = logging.getLogger("datalayer.workers")


def connect() -> None:
    """Connect this process, so that its first request finds open pools.

    What the parent had connected is asked for a sign of life, for two seconds at most; a
    database that is away then is logged, and used again when it comes back.

    Raises what ``db.connect_all`` raises, for databases that the parent had not connected.
    """
    judged = verdict(db.connect_all())
    for reason in judged.reasons:
        logger.warning("%s", reason, extra={"event": "worker_degraded"})


def disconnect() -> None:
    """Store what log handlers and the recorder hold, and close this process's connections."""
    db.disconnect_all()


def check_pool_budget(processes: int) -> None:
    """Have ``datalayer doctor`` judge the pools of that many processes; log what it objects to.

    In a thread: nobody waits for it.
    """
    threading.Thread(
        target=_check_pool_budget, args=(processes,), name="datalayer-budget", daemon=True
    ).start()


def _check_pool_budget(processes: int) -> None:
    if registry.settings is None:
        return  # disconnected meanwhile
    for finding in examine(registry.settings, processes=processes).findings:
        if finding.check == "pool" and finding.severity in ("error", "warning"):
            logger.warning("%s: %s", finding.saw, finding.advice, extra={"event": "pool_budget"})
