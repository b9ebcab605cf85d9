"""Middleware: connects at the first request, answers while a database is away, and lets a
request read what it wrote. Each is switched on by its line in ``MIDDLEWARE``."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from datalayer import db
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.contrib.connecting import does_without_database
from datalayer.contrib.django.connecting import connect, is_connected
from datalayer.contrib.django.responses import page_or_json
from datalayer.errors import DataLayerError, StaleDocumentError
from datalayer.failures.redaction import without_contents
from datalayer.web import conflict, is_temporary, temporary_failure

logger = logging.getLogger("datalayer.contrib.django")

GetResponse = Callable[[HttpRequest], HttpResponse]


class ConnectMiddleware:
    """Connects the databases at the first request of each process, before all that may use them.

    While a required database can't be reached, requests are answered with 503 and
    ``Retry-After``, each after a new attempt that requests share; with ``DEBUG`` the error is
    shown instead. The health views and those marked with ``needs_no_database`` do not wait.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Connect if need be, and hand the request on."""
        if not is_connected() and not _does_without(request):
            try:
                connect()
            except DataLayerError as exc:
                if django_settings.DEBUG or not is_temporary(exc):
                    raise
                return _unavailable(request, exc)
        return self._get_response(request)


class TemporaryErrorsMiddleware:
    """Answers a view's error with 503 and ``Retry-After`` where the operation had no effect and
    may succeed a little later: the database is away, too slow, or its pool is exhausted. And with
    409 where others have changed the document meanwhile (``StaleDocumentError``).

    An ``OutcomeUnknownError`` stays an error: a client that tried again could write twice.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Hand the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Called by Django with what a view has raised."""
        if isinstance(exception, StaleDocumentError):
            changed = "a request was answered with 409: a document had changed"
            logger.info(changed, extra={"event": "stale_document"})
            return page_or_json(request, conflict())
        return _unavailable(request, exception) if is_temporary(exception) else None


class CausalReadsMiddleware:
    """Runs each request in a ``db.session()`` of the database ``alias``, so that it reads what
    it wrote before, also from another member of the replica set.

    Derive a class from it to set another ``alias``.
    """

    alias = DEFAULT_ALIAS

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Hand the request on, within a session."""
        if registry.find(self.alias) is None:  # a health view, before the first connection
            return self._get_response(request)
        with db.session(self.alias):
            return self._get_response(request)


def _does_without(request: HttpRequest) -> bool:
    try:
        return does_without_database(resolve(request.path_info).func)
    except Resolver404:
        return False  # another middleware may need a database


def _unavailable(request: HttpRequest, exc: Exception) -> HttpResponse:
    logger.error(
        "a request was answered with 503 (%s)",
        type(exc).__name__,
        exc_info=without_contents(exc),
        extra={"event": "unavailable"},
    )
    return page_or_json(request, temporary_failure())
