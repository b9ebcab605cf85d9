"""From datalayer's answers to Django's responses."""

from __future__ import annotations

from django.http import HttpResponse

from datalayer.web import Answer

__all__ = ["response_to"]


def response_to(answer: Answer, *, head: bool = False) -> HttpResponse:
    """``answer``, as Django wants it. ``head`` leaves out the body, as an answer to HEAD has none:
    not every server (uWSGI) takes it away itself."""
    body = b"" if head else answer.body
    return HttpResponse(body, status=answer.status, headers=answer.headers)
