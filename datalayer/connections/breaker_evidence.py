"""What the end of a call tells of the server's health, for the circuit breaker.

A caller's own short deadline is no sign of it, nor is a pool that its own load exhausts, a
connection that broke, or a read preference that no member meets. Where such calls come in a row,
the server itself is asked, in a thread of its own.
"""

from __future__ import annotations

import threading

import pymongo
from pymongo import _csot
from pymongo.errors import (
    ConnectionFailure,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from datalayer.concurrency.threads import signals_held
from datalayer.connections.breaker import CircuitBreaker
from datalayer.connections.connection import Connection
from datalayer.errors import DataLayerError

ANSWER_SECONDS = 2.0
"""How long a server that is asked may take, as in ``status()``."""


def weigh(connection: Connection, breaker: CircuitBreaker, exc: PyMongoError) -> None:
    """Tell ``breaker`` what the error of a call over ``connection`` says of the server.

    A thread is started where the server has to be asked; the call itself never waits for it.
    """
    if isinstance(exc, (OperationFailure, NotPrimaryError)):
        breaker.succeeded()  # whatever it says, it answers
    elif not isinstance(exc, ConnectionFailure) or _is_about_reading(connection, exc):
        breaker.undecided()
    elif _had_its_time(exc):
        breaker.failed()
    else:
        question = breaker.doubted()
        if question is not None:
            _start_asking(connection, breaker, question)


def _had_its_time(exc: ConnectionFailure) -> bool:
    """Whether the server was left the whole time that the settings give it.

    The driver knows of a deadline of the caller's own: of ``db.deadline``, ``max_time_ms``, a
    transaction or ``pymongo.timeout``. Without one, that of the settings has passed.
    """
    return (
        exc.timeout
        and not isinstance(exc, WaitQueueTimeoutError)  # others of this process were before it
        and _csot.get_timeout() is None
    )


def _is_about_reading(connection: Connection, exc: PyMongoError) -> bool:
    """Whether a server was there, and only none that the call's read preference asks for."""
    if not isinstance(exc, ServerSelectionTimeoutError):
        return False
    description = connection.monitors.topology.description
    return description is not None and description.has_writable_server()


def _start_asking(connection: Connection, breaker: CircuitBreaker, question: object) -> None:
    thread = threading.Thread(
        target=_ask,
        args=(connection, breaker, question),
        name=f"datalayer-ask-{connection.alias}",
        daemon=True,
    )
    try:
        with signals_held():
            thread.start()
    except RuntimeError:  # the process has no more threads, or ends
        breaker.answered(question, answer=None)


def _ask(connection: Connection, breaker: CircuitBreaker, question: object) -> None:
    answer: bool | None = None
    try:
        with pymongo.timeout(ANSWER_SECONDS):
            connection.client.admin.command("ping")
        answer = True
    except (OperationFailure, NotPrimaryError):
        answer = True
    except ConnectionFailure:
        answer = False
    except (PyMongoError, DataLayerError):
        pass  # disconnected meanwhile, or this process's own calls hold all connections
    finally:
        breaker.answered(question, answer=answer)
