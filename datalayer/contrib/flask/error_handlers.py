"""Flask's error handlers for temporary failures of a database: ``503 Service Unavailable``."""

from __future__ import annotations

import logging

from flask import Flask, Response, current_app
from werkzeug.exceptions import ServiceUnavailable

from datalayer.web import is_temporary, temporary_failure
from datalayer.web.temporary_errors import TEMPORARY_ERRORS

logger = logging.getLogger("datalayer.contrib.flask")


def answer_temporary_failures(app: Flask) -> None:
    """Have the errors after which the same request may come again answered with 503.

    The application's own handler of 503 makes the page, if there is one. A handler that is
    registered for one of these errors later, or on a blueprint, goes before.
    """
    for kind in TEMPORARY_ERRORS:
        app.register_error_handler(kind, _answer)


def _answer(error: Exception) -> Response:
    if not is_temporary(error):
        raise error  # refused credentials, which are a kind of ConnectError
    logger.warning("answered with 503: %s", error, extra={"event": "temporary_failure"})
    answer = temporary_failure()
    plain = Response(answer.body, answer.status, answer.headers)
    shown = current_app.handle_http_exception(ServiceUnavailable(response=plain))
    response = current_app.make_response(shown)
    response.headers.setdefault("Retry-After", answer.headers["Retry-After"])
    return response
