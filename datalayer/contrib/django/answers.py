"""From datalayer's answers to Django's responses."""

from __future__ import annotations

from django.http import HttpResponse

from datalayer.web import Answer

__all__ = ["response_to"]


def response_to(answer: Answer) -> HttpResponse:
    """``answer``, as Django wants it."""
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)
