"""What does a command say about an error: to a person, to a program, and with ``--verbose``?"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from mongoengine.errors import MongoEngineException
from pymongo.errors import OperationFailure, PyMongoError

from datalayer.cli.exit_codes import UsageError
from datalayer.errors import ConfigurationError, DataLayerError
from datalayer.failures.connecting import kind_of
from datalayer.settings import redact


def message_of(error: Exception) -> str:
    """What to tell about an error, without anything secret.

    The driver's and MongoEngine's texts may repeat a document's contents: only their kind and
    the server's error code are told.
    """
    if isinstance(error, ConfigurationError):
        return str(error)  # holds no secret, and an example of a URI that redact would spoil
    if isinstance(error, UsageError | DataLayerError):
        return redact(str(error))
    if isinstance(error, PyMongoError | MongoEngineException):
        return f"the database operation failed: {_kind_of(error)}"
    return f"unexpected {_kind_of(error)}; --verbose shows where it happened"


def document_of(error: Exception) -> dict[str, Any]:
    """The error as the JSON document that takes the place of the result."""
    facts: dict[str, Any] = {"type": type(error).__name__, "message": message_of(error)}
    if isinstance(error, DataLayerError):  # without where to read on: programs don't
        facts["message"] = redact(error.message)
        facts["alias"] = error.alias
    if isinstance(error, ConfigurationError):
        facts["message"] = error.message
        facts["problems"] = list(error.problems)
    return {"error": facts}


def traceback_of(error: BaseException) -> str:
    """The traceback of an error and its causes, each with no more than ``message_of`` tells."""
    return redact("\n".join(_traceback_lines(error)))


def _traceback_lines(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or error.__context__  # one that was left out as well
    if cause is not None:
        yield from _traceback_lines(cause)
        yield "\nwhich led to:\n"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield f"{_kind_of(error)}: {error}" if isinstance(error, DataLayerError) else _kind_of(error)


def _kind_of(error: BaseException) -> str:
    name = kind_of(error)
    if isinstance(error, OperationFailure) and error.code is not None:
        details = error.details or {}
        return f"{name} (error {error.code}, {details.get('codeName', 'no name')})"
    return name
