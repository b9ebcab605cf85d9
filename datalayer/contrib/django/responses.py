"""datalayer's answers as Django's responses, and a project's own pages for 503 and 409."""

from __future__ import annotations

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from datalayer.web import Answer

_JSON, _HTML = "application/json", "text/html"


def response_to(answer: Answer, *, head: bool = False) -> HttpResponse:
    """The response for ``answer``. ``head`` leaves out the body, as an answer to HEAD has none:
    not every server (uWSGI) takes it away itself."""
    body = b"" if head else answer.body
    return HttpResponse(body, status=answer.status, headers=answer.headers)


def page_or_json(request: HttpRequest, answer: Answer) -> HttpResponse:
    """The response for ``answer``: for a browser the project's template, ``503.html`` say, where
    there is one, and JSON otherwise."""
    if request.get_preferred_type([_JSON, _HTML]) == _HTML:
        with suppress(TemplateDoesNotExist):
            # Without the request, as Django's own page for 500: a context processor may ask
            # the very database that is away.
            page = get_template(f"{answer.status}.html").render()
            headers = {"Cache-Control": answer.headers["Cache-Control"], **answer.further_headers}
            return HttpResponse(page, status=answer.status, headers=headers)
    return response_to(answer)
