"""What the toolbar shows: the panel, and the page that tells how a query is done."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Flask, abort, current_app, request, url_for
from flask_debugtoolbar.panels import DebugPanel
from jinja2 import Environment, PackageLoader
from pymongo.errors import PyMongoError

from datalayer.contrib.flask.debug_panel.explaining import explain, kept
from datalayer.contrib.flask.debug_panel.findings import duplicates, n_plus_one, totals
from datalayer.contrib.flask.debug_panel.recording import (
    Log,
    Query,
    Recorded,
    present_log,
)
from datalayer.errors import DataLayerError

SLOW_MS_KEY = "MONGO_DEBUG_PANEL_SLOW_QUERY_LIMIT"
"""From how many milliseconds a command counts as slow, as flask-mongoengine calls it; 100."""
_EXPLAIN = "debugtoolbar.datalayer_explain"  # of the toolbar's blueprint: it isn't shown there


class MongoDebugPanel(DebugPanel):
    """The commands that the request has sent to the databases.

    Values of filters, documents and changes are not shown.
    """

    name = "MongoDB"
    has_content = True

    @classmethod
    def init_app(cls, app: Flask) -> None:
        """Note the commands of ``app``'s requests from now on; the toolbar calls it, where it is
        switched on."""
        app.wsgi_app = Recorded(app.wsgi_app)  # type: ignore[method-assign]
        app.add_url_rule(
            "/_debug_toolbar/views/datalayer/explain/<name>",
            _EXPLAIN,
            _show_plan,
            methods=["GET", "POST"],
        )

    def nav_title(self) -> str:
        """The panel's line in the toolbar."""
        return self.name

    def nav_subtitle(self) -> str:
        """How many commands, how long they took, and whether there is an N+1."""
        queries = _log().queries
        if not queries:
            return "no commands"
        said = f"{_counted(len(queries) + _log().unnoted)} in {_milliseconds(queries):.1f} ms"
        return f"{said}, N+1" if n_plus_one(queries) else said

    def title(self) -> str:
        """The panel's heading."""
        return "Commands to MongoDB"

    def url(self) -> str:
        """None: the panel has no page of its own."""
        return ""

    def content(self) -> str:
        """The panel, as HTML."""
        log = _log()
        if "csrf" in current_app.extensions:  # Flask-WTF's: the toolbar's script posts no token
            current_app.extensions["csrf"].exempt(_show_plan)
        return _render(
            "panel.html",
            rows=[(query, _link(query)) for query in log.queries],
            unnoted=log.unnoted,
            milliseconds=_milliseconds(log.queries),
            totals=totals(log.queries),
            n_plus_one=n_plus_one(log.queries),
            duplicates=duplicates(log.queries),
            slow_ms=current_app.config.get(SLOW_MS_KEY, 100),
        )


def _log() -> Log:
    return present_log() or Log()


def _counted(number: int) -> str:
    return "1 command" if number == 1 else f"{number} commands"


def _milliseconds(queries: list[Query]) -> float:
    return sum(query.milliseconds for query in queries)


def _link(query: Query) -> str | None:
    if query.explained_by is None or query.database is None:
        return None
    name = kept.keep(query.alias, query.database, query.explained_by)
    return url_for(_EXPLAIN, name=name)


def _show_plan(name: str) -> str:
    """How the query is done that was kept under ``name``: for whom the toolbar is shown."""
    hosts = current_app.config["DEBUG_TB_HOSTS"]
    if hosts and request.remote_addr not in hosts:
        abort(404)
    found = kept.find(name)
    if found is None:
        return _render("plan.html", problem="This query is not kept any more: load the page anew.")
    try:
        return _render("plan.html", plan=explain(*found))
    except (PyMongoError, DataLayerError) as exc:
        return _render("plan.html", problem=f"The server did not tell: {type(exc).__name__}.")


@cache
def _templates() -> Environment:
    return Environment(autoescape=True, loader=PackageLoader(__package__ or ""))


def _render(template: str, **context: Any) -> str:
    return _templates().get_template(template).render(**context)
