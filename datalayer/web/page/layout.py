"""The whole page: head, verdict, and the sections in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from datalayer.health import Verdict, verdict
from datalayer.web.page.databases import section, tile
from datalayer.web.page.formatting import Tone, moment, plural
from datalayer.web.page.hints import hints
from datalayer.web.page.markup import Markup, element, joined
from datalayer.web.page.plots import icon
from datalayer.web.page.style import STYLE
from datalayer.web.page.transfers_recorder_outbox import migrations, outbox, recorder, transfers
from datalayer.web.page.workers import scope, workers
from datalayer.web.snapshot import Snapshot
from datalayer.web.workers import Figures


class _Headline(NamedTuple):
    tone: Tone
    words: str
    meaning: str


_COLOURS: Mapping[Tone, str] = {"good": "#2da44e", "warn": "#d29922", "bad": "#cf222e"}
_MARKS: Mapping[Tone, str] = {
    "good": "M4.5 8.5l2.4 2.4 4.8-5.2", "warn": "M8 4v5m0 2.6v.2", "bad": "M5 5l6 6m0-6l-6 6",
}  # fmt: skip


def page(snapshot: Snapshot) -> str:
    """The status page as one HTML document that needs nothing else, nor JavaScript."""
    snapshot = snapshot.of_all_workers()
    judged = snapshot.migrations.judged(verdict(snapshot.databases))
    worth_a_look = hints(snapshot)
    headline = _headline(judged, worth_a_look, migrations_hinder=snapshot.migrations.hinder)
    keys = {alias: f"database-{at}" for at, alias in enumerate(snapshot.databases)}
    databases = snapshot.databases.items()
    body = element(
        "body",
        _top(snapshot),
        element(
            "main",
            _verdict(headline, judged, worth_a_look),
            element(
                "ul",
                *(tile(keys[alias], alias, entry) for alias, entry in databases),
                class_="tiles",
            ),
            workers(snapshot),
            *(
                section(keys[alias], alias, entry, snapshot.figures.get(alias, Figures()))
                for alias, entry in databases
            ),
            transfers(snapshot),
            migrations(snapshot.migrations),
            recorder(snapshot.recorder),
            outbox(snapshot),
        ),
        _foot(snapshot),
    )
    return joined(
        Markup("<!doctype html>\n"), element("html", _head(snapshot, headline), body, lang="en")
    )


def _headline(
    judged: Verdict, worth_a_look: tuple[str, ...], *, migrations_hinder: bool
) -> _Headline:
    if not judged.ready and migrations_hinder:
        meaning = "Migrations are not applied that this code needs, and it is set to require them."
        return _Headline("bad", "Not ready", meaning)
    if not judged.ready:
        meaning = "A required database does not answer: requests that need it fail."
        return _Headline("bad", "Not ready", meaning)
    if judged.degraded:
        return _Headline("warn", "Ready, but something is amiss", "Requests can be served.")
    if worth_a_look:
        return _Headline("good", "All databases answer", "Some things are worth a look.")
    return _Headline("good", "All is well", "All databases answer.")


def _head(snapshot: Snapshot, headline: _Headline) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("title", f"{headline.words} · datalayer on {snapshot.host}"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("link", rel="icon", href=_tab_icon(headline.tone)),
        element("style", STYLE),
    )


def _tab_icon(tone: Tone) -> str:
    """So that a browser asks for no ``favicon.ico``, and its tab shows how things are."""
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
        f'<circle cx="8" cy="8" r="8" fill="{_COLOURS[tone]}"/>'
        f'<path d="{_MARKS[tone]}" fill="none" stroke="#fff" stroke-width="2"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawn)}"


def _top(snapshot: Snapshot) -> Markup:
    return element(
        "header",
        element(
            "p",
            element("strong", "datalayer"),
            f" {snapshot.version} · {snapshot.host} · process {snapshot.process}",
            _among(snapshot),
            " · ",
            moment(snapshot.taken_at),
        ),
        element(
            "nav",
            element("a", "Reload", href=""),
            element("a", "As JSON", href="status.json"),
            aria_label="This page",
        ),
        class_="top",
    )


def _among(snapshot: Snapshot) -> str:
    living = len(snapshot.workers.living)
    return f" of {plural(living, 'worker', 'workers')}" if living > 1 else ""


def _verdict(headline: _Headline, judged: Verdict, worth_a_look: tuple[str, ...]) -> Markup:
    return element(
        "section",
        icon(headline.tone),
        element(
            "div",
            element("h1", headline.words),
            element("p", headline.meaning),
            _list(judged.reasons),
            element("h2", "Worth a look") if worth_a_look else None,
            _list(worth_a_look),
        ),
        class_=f"verdict {headline.tone}",
        aria_label="Verdict",
    )


def _list(sentences: tuple[str, ...]) -> Markup | None:
    if not sentences:
        return None
    return element("ul", *(element("li", *_with_code(sentence)) for sentence in sentences))


def _with_code(sentence: str) -> list[str]:
    """What stands between backticks is a command to type."""
    pieces = sentence.split("`")
    return [element("code", piece) if at % 2 else piece for at, piece in enumerate(pieces)]


def _foot(snapshot: Snapshot) -> Markup:
    return element(
        "footer",
        element(
            "p",
            scope(snapshot),
            " Percentiles and plots cover the last five to ten minutes. All times are UTC.",
        ),
    )
