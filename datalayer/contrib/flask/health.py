"""The health endpoints and the status page as a blueprint."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from datalayer import db
from datalayer.contrib.connecting import needs_no_database
from datalayer.contrib.flask.extension import NAME, DataLayer
from datalayer.web import Answer, Endpoints, alive, is_temporary

_TOKEN = "DATALAYER_STATUS_TOKEN"  # noqa: S105 - a variable's name


def health_blueprint(
    *,
    url_prefix: str | None = None,
    token: str | None = None,
    timeout_seconds: float = 2.0,
    authorise: Callable[[], object] | None = None,
    name: str = "datalayer_health",
) -> Blueprint:
    """``/livez``, ``/readyz``, ``/status`` and ``/status.json``, below ``url_prefix``.

    Details and the status page are for those who bring ``token`` (default:
    ``DATALAYER_STATUS_TOKEN`` from ``app.config`` or the environment), and for those of whom
    ``authorise()`` says yes: it is called in the request, and asks the application's own login.
    Where it can't because a database is away, the answer is no, unless it is ``remembered``;
    what it asks of a database has ``timeout_seconds`` in all.

    ``/readyz`` and the status have the application's ``DataLayer`` begin to connect, and wait
    for it ``timeout_seconds`` at most; the pings have as long.

    Raises (when it is registered):
        ConfigurationError: for a token of under 16 characters.
    """
    blueprint = Blueprint(name, __name__, url_prefix=url_prefix)

    def set_up(state: BlueprintSetupState) -> None:
        endpoints = Endpoints(
            token=token or state.app.config.get(_TOKEN), timeout_seconds=timeout_seconds
        )
        for path in endpoints.paths:
            view = needs_no_database(_view(endpoints, path, timeout_seconds, authorise))
            state.add_url_rule(path, path.strip("/").replace(".", "_"), view)

    blueprint.record(set_up)
    return blueprint


def _view(
    endpoints: Endpoints,
    path: str,
    timeout_seconds: float,
    authorise: Callable[[], object] | None,
) -> Callable[[], Response]:
    def view() -> Response:
        answer: Answer | None = alive()
        if path != "/livez":  # which asks nobody
            extension = current_app.extensions.get(NAME)
            if isinstance(extension, DataLayer):
                extension.connect_within(timeout_seconds)
            answer = endpoints.answer(
                path,
                authorization=request.headers.get("Authorization"),
                authorised=authorise is not None and _says_yes(authorise, timeout_seconds),
            )
        assert answer is not None  # noqa: S101 - for the type checker: Endpoints has named the path
        return Response(answer.body, answer.status, answer.headers)

    return view


def _says_yes(authorise: Callable[[], object], timeout_seconds: float) -> bool:
    try:
        with db.deadline(timeout_seconds):
            return bool(authorise())
    except Exception as exc:
        if not is_temporary(exc):
            raise
        return False
