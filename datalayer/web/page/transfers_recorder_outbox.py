"""The page's sections on what is on its way: transfers, migrations, the recorder's events, the
outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datalayer.web.migrations_known import Migrations
from datalayer.web.page.components import card, facts, state
from datalayer.web.page.formatting import Tone, moment, number, plural, seconds, size
from datalayer.web.page.markup import Content, Markup, element
from datalayer.web.page.plots import bar
from datalayer.web.snapshot import Snapshot
from datalayer.web.transfers_and_outbox import Transfer, Work


def transfers(snapshot: Snapshot) -> Markup:
    """The transfers that are not finished, and the databases that could not be asked."""
    made: list[Content] = []
    for alias, entry in snapshot.databases.items():
        work = snapshot.work.get(alias, Work())
        made += [_transfer(each) for each in work.transfers]
        if work.further_transfers:
            more = f"{alias}: {number(work.further_transfers)} further ones"
            made.append(element("p", more, class_="soft"))
        if not entry["connected"]:
            made.append(_unknown(alias, "it is away and was not asked"))
        elif work.error:
            made.append(_unknown(alias, work.error))
    nothing = element("p", "None is under way.", class_="about")
    return card("transfers", "Transfers", *(made or [nothing]))


def _unknown(alias: str, why: str) -> Markup:
    return element("p", f"Into {alias}: not known, {why}", class_="about")


def _transfer(transfer: Transfer) -> Markup:
    share = transfer.begun / transfer.planned if transfer.planned else 1.0
    verb = "moves" if transfer.move else "copies"
    progress = f"about {number(transfer.begun)} of {number(transfer.planned)} documents"
    return element(
        "article",
        element("h3", transfer.name, " ", state(*_stands(transfer))),
        bar(share, f"{progress} are there"),
        element(
            "p",
            f"{verb} {transfer.source} to {transfer.target} · {progress} · ",
            f"runner {transfer.holder} · " if transfer.holder else None,
            "last note ",
            moment(transfer.updated_at),
            class_="soft",
        ),
        class_="transfer",
    )


def _stands(transfer: Transfer) -> tuple[Tone, str]:
    if transfer.state == "drifted":
        return "warn", "drifted: both sides differ"
    if transfer.seconds_left:
        return "good", transfer.state.replace("_", " ")
    if transfer.state == "new":
        return "quiet", "not begun"
    return "warn", "interrupted: nobody is at work"


def migrations(known: Migrations) -> Markup | None:
    """How they stand to the files of this process, where it has any."""
    found = known.check
    if found is None:
        return None
    at_work = element("p", f"{known.holder} is at work on them.") if known.holder else None
    if not found.problems:
        told = element("p", state("good", "All are applied."), class_="about")
        return card("migrations", "Migrations", told, at_work)
    tone: Tone = "good" if found.is_current else "bad" if known.hinder else "warn"
    lines = (element("p", state(tone, problem), class_="about") for problem in found.problems)
    return card("migrations", "Migrations", *lines, at_work)


def recorder(stats: Mapping[str, Any]) -> Markup | None:
    """The recorder's counters."""
    if not stats:
        return None
    shown = {
        "recorded": number(stats["recorded"]),
        "written": number(stats["written"]),
        "waiting": number(stats["waiting"]),
        "dropped": number(stats["dropped"]),
        "refused": number(stats["refused"]),
        "tried again": number(stats["retried"]),
        "spooled": number(stats["spooled"]),
        "spool": size(stats["spool_bytes"]),
        "lag": seconds(stats["lag_seconds"]),
    }
    about = f"Events since the start of this process; policy {stats['policy']}."
    return card("recorder", "Recorder", element("p", about, class_="about"), facts(shown))


def outbox(snapshot: Snapshot) -> Markup | None:
    """What waits for delivery, where an outbox is in use."""
    lines = [
        element("p", _waiting(alias, work), class_="about")
        for alias, work in snapshot.work.items()
        if work.outbox_entries or work.outbox_set_aside or work.outbox_delivered_here
    ]
    return card("outbox", "Outbox", *lines) if lines else None


def _waiting(alias: str, work: Work) -> str:
    oldest = work.outbox_oldest_seconds
    waits = plural(work.outbox_entries, "document waits", "documents wait")
    since = "" if oldest is None else f", the oldest for {seconds(oldest)}"
    fails = f", {number(work.outbox_failing)} tried in vain" if work.outbox_failing else ""
    aside = f", {number(work.outbox_set_aside)} set aside" if work.outbox_set_aside else ""
    here = "delivers" if work.outbox_delivered_here else "does not deliver"
    return f"{alias}: {waits}{since}{fails}{aside}; this process {here}."
