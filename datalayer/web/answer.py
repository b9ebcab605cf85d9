"""One HTTP answer, as a value that every framework can turn into its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status code, content type, body, and headers beyond those two.

    Nothing here may be kept by a cache: it is true for the moment only.
    """

    status: int
    content_type: str
    body: bytes
    further_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Every header, ``Content-Length`` included."""
        return {
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **self.further_headers,
        }

    @property
    def status_line(self) -> str:
        """As WSGI wants it: ``503 Service Unavailable``."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def json_answer(
    status: int,
    document: Mapping[str, Any],
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An answer whose body is ``document``."""
    body = json.dumps(document).encode()
    return Answer(status, content_type, body, headers or {})
