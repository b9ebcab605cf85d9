"""Flask's error handlers: ``503 Service Unavailable`` for temporary failures of a database, and
``409 Conflict`` for documents that others have changed."""

from __future__ import annotations

import logging

from flask import Flask, Response, current_app
from werkzeug.exceptions import Conflict, HTTPException, ServiceUnavailable

from datalayer.errors import StaleDocumentError
from datalayer.web import Answer, conflict, is_temporary, temporary_failure
from datalayer.web.temporary_errors import TEMPORARY_ERRORS

logger = logging.getLogger("datalayer.contrib.flask")


def answer_failures(app: Flask) -> None:
    """Have the errors after which the same request may come again answered with 503, and those
    after which what was to be changed has to be loaded again with 409.

    The application's own handler of 503 or 409 makes the page, if there is one. A handler that is
    registered for one of these errors later, or on a blueprint, goes before.
    """
    for kind in TEMPORARY_ERRORS:
        app.register_error_handler(kind, _answer_temporary)
    app.register_error_handler(StaleDocumentError, _answer_stale)


def _answer_temporary(error: Exception) -> Response:
    if not is_temporary(error):
        raise error  # refused credentials, which are a kind of ConnectError
    logger.warning("answered with 503: %s", error, extra={"event": "temporary_failure"})
    answer = temporary_failure()
    response = _shown(ServiceUnavailable, answer)
    response.headers.setdefault("Retry-After", answer.headers["Retry-After"])
    return response


def _answer_stale(error: StaleDocumentError) -> Response:
    logger.info("answered with 409: a document had changed", extra={"event": "stale_document"})
    return _shown(Conflict, conflict())


def _shown(kind: type[HTTPException], answer: Answer) -> Response:
    plain = Response(answer.body, answer.status, answer.headers)
    shown = current_app.handle_http_exception(kind(response=plain))
    return current_app.make_response(shown)
