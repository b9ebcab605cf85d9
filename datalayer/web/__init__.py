"""What datalayer answers over HTTP, whatever the framework: liveness, readiness and status.

The integrations in ``datalayer.contrib`` are thin: they take the request apart, ask
``Endpoints``, and give its ``Answer`` back in their framework's way.

``endpoints`` has the paths, ``authorisation`` says who sees details, ``temporary_errors`` what is
answered with 503, and with 409. ``health_json`` is readiness; the status is a ``snapshot`` (with
``transfers_and_outbox``, and ``workers`` for those of other processes) that ``page`` shows;
``migrations_known`` is a part of both.
"""

from __future__ import annotations

from datalayer.web.answer import Answer
from datalayer.web.authorisation import REMEMBERED_SECONDS, Guard
from datalayer.web.endpoints import Endpoints, alive
from datalayer.web.temporary_errors import (
    RETRY_AFTER_SECONDS,
    TEMPORARY_ERRORS,
    conflict,
    is_temporary,
    temporary_failure,
)

__all__ = [
    "REMEMBERED_SECONDS",
    "RETRY_AFTER_SECONDS",
    "TEMPORARY_ERRORS",
    "Answer",
    "Endpoints",
    "Guard",
    "alive",
    "conflict",
    "is_temporary",
    "temporary_failure",
]
