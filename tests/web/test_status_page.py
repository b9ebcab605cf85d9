"""The status page: what it says of a snapshot, in HTML that holds and that everybody can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from snapshots import changed, failure, hostile, member, several, transfer, trouble, well, worker

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import Bucket, Failure, SlowCommand
from datalayer.web.page import page
from datalayer.web.page.formatting import compact, duration, moment, plural, size
from datalayer.web.page.log_scale import LogScale, columns, round_top
from datalayer.web.page.markup import Markup, element, joined
from datalayer.web.page.plots import bar, distribution, pool_bar
from datalayer.web.page.style import STYLE
from datalayer.web.snapshot import Snapshot, take_snapshot
from datalayer.web.transfers_and_outbox import Work
from datalayer.web.workers import Figures, Workers

_WITHOUT_END = {"meta", "link", "br"}


class Read(HTMLParser):
    """A page as its reader has it: elements, texts, and whether all that begins also ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.texts: list[tuple[list[str], str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), list(self.open)))
        if tag not in _WITHOUT_END:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), list(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((list(self.open), data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def text(self, tag: str = "body") -> str:
        """What stands in the elements of a name, without titles of drawings."""
        found = [
            text
            for inside, text in self.texts
            if tag in inside and "style" not in inside and not {"title", "desc"} & set(inside[1:])
        ]
        return re.sub(r"\s+", " ", " ".join(found))

    def drawings(self) -> str:
        """What the drawings say in words."""
        return " ".join(t for inside, t in self.texts if set(inside[-1:]) & {"title", "desc"})


def read(snapshot: Snapshot) -> Read:
    return Read(page(snapshot))


def never_connected() -> Snapshot:
    return take_snapshot(db.status(0.1), 0.1)


EVERY = pytest.mark.parametrize("make", [well, trouble, never_connected, hostile])


# The verdict


def test_all_is_well() -> None:
    shown = read(well())
    assert shown.text("h1") == "All is well"
    assert "Worth a look" not in shown.text()


def test_a_required_database_that_is_away_makes_it_not_ready() -> None:
    away = {"connected": False, "state": "unavailable", "last_error": "no answer within 2 s"}
    shown = read(changed("default", **away))
    assert shown.text("h1") == "Not ready"
    assert "default: required and unavailable (no answer within 2 s)" in shown.text("li")


def test_an_optional_database_that_is_away_leaves_it_ready() -> None:
    shown = read(changed("database1", connected=False, state="unavailable"))
    assert shown.text("h1") == "Ready, but something is amiss"
    assert "database1: optional and unavailable" in shown.text("li")


@pytest.mark.parametrize(
    ("pool", "note"),
    [
        ({"waiting": 1}, "default: 1 operation waits for a connection now"),
        ({"waiting": 3}, "default: 3 operations wait for a connection now"),
        ({"timeouts": 2}, "default: 2 operations got no connection in time since the start"),
    ],
)
def test_a_pool_that_is_too_small_is_worth_a_look(pool: dict[str, Any], note: str) -> None:
    shown = read(changed("default", pool=pool))
    assert shown.text("h1") == "All databases answer"
    assert note in shown.text("li")


def test_an_open_circuit_breaker_is_worth_a_look() -> None:
    shown = read(changed("database1", circuit_breaker="open"))
    assert "database1: calls fail at once until it is back" in shown.text("li")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"seconds_left": 0.0}, "datalayer transfer resume nightly"),
        ({"seconds_left": 0.0, "state": "rolling_back"}, "datalayer transfer rollback nightly"),
        ({"seconds_left": 0.0, "state": "drifted"}, "datalayer transfer show nightly"),
    ],
)
def test_a_transfer_that_needs_somebody_is_worth_a_look(
    changes: dict[str, Any], note: str
) -> None:
    work = {"database1": Work((transfer(**changes),))}
    assert note in read(replace(well(), work=work)).text("code")


def test_a_transfer_that_runs_or_has_not_begun_is_not() -> None:
    new = transfer("other", state="new", seconds_left=0.0)
    work = {"database1": Work((transfer(), new))}
    assert read(replace(well(), work=work)).text("h1") == "All is well"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"dropped": 1}, "recorder: 1 event was lost"),
        ({"lag_seconds": 61.0}, "recorder: 10 events wait, the oldest for 1.0 min"),
    ],
)
def test_a_recorder_that_loses_or_lags_is_worth_a_look(changes: dict[str, Any], note: str) -> None:
    snapshot = replace(well(), recorder={**well().recorder, **changes})
    assert note in read(snapshot).text("li")


def test_an_outbox_that_nobody_delivers_is_worth_a_look() -> None:
    work = {"default": Work(outbox_entries=2, outbox_oldest_seconds=61.0)}
    note = "default: the oldest document in its outbox has waited for 1.0 min"
    assert note in read(replace(well(), work=work)).text("li")


def test_an_entry_that_cannot_be_delivered_is_worth_a_look() -> None:
    work = {"default": Work(outbox_entries=2, outbox_failing=1)}
    assert "default: 1 in its outbox could not be delivered; datalayer outbox list" in read(
        replace(well(), work=work)
    ).text("li")


# What is shown


def test_a_database_is_shown_with_its_servers_pool_and_commands() -> None:
    shown = read(changed("default", members=[member("db-a:1"), member("db-b:2", "Unknown", None)]))
    text = shown.text("section")
    for expected in (
        "required · database default_data · MongoDB 6.0.5",
        "mongodb://app:***@db-a/shop",
        "db-a:1 primary 500 µs",
        "db-b:2 no answer —",
        "Connections: 5 open, at most 10 to each server",
        "3 in use 2 idle room for 5 0 operations wait",
        "p50 496 µs p95 992 µs p99 59 ms total 1,000 failed 2 slow 1",
        "03:04:05 find advertisement 412 ms 20",
        "circuit breaker none: the database is required",
        "circuit breaker closed: calls pass",
    ):
        assert expected in text


def test_a_single_server_is_compared_with_none() -> None:
    alone = changed("default", members=[member("db-a:1")])
    both = [read(snapshot).text("section").count("compared") for snapshot in (well(), alone)]
    assert both == [2, 1]  # database1 has two servers in either case


def test_many_slow_commands_are_folded_but_the_latest() -> None:
    commands = tuple(
        SlowCommand("2026-01-02T03:04:05+00:00", "default", f"c{at:02}", "find", 500.0, 1)
        for at in range(20)
    )
    shown = read(replace(well(), figures={"default": Figures(slow_commands=commands)}))
    folded = shown.text("details")
    assert folded.startswith("12 earlier ones")
    assert [f"find c{at:02}" in folded for at in range(20)] == [False] * 8 + [True] * 12
    assert "find c07" in shown.text("table")


def failed(*failures: Failure, snapshot: Snapshot | None = None) -> Snapshot:
    return replace(snapshot or well(), figures={"default": Figures(failures=failures)})


def test_what_failed_is_shown_with_where_and_how_often() -> None:
    text = read(failed(failure())).text()
    shown = "Failures, the latest first last at (UTC) what in times"
    assert f"{shown} 03:04:00 MaxTimeMSExpired (50) find advertisement at db-a:27017 3" in text


def test_many_kinds_of_failures_are_folded_but_the_latest() -> None:
    text = read(failed(*(failure(f"Kind{n}") for n in range(11)))).text()
    assert "3 earlier ones" in text


def test_what_failed_last_stands_in_the_verdict_of_a_database_that_is_away() -> None:
    away = changed("default", connected=False, state="unavailable", last_error="no answer")
    text = read(failed(failure("NetworkTimeout"), snapshot=away)).text("main")
    last = "find advertisement at db-a:27017: NetworkTimeout, 3 times"
    assert f"default: what failed last was {last}" in text


def test_a_failure_in_a_database_that_answers_is_no_alarm() -> None:
    assert read(failed(failure())).text("h1").strip() == "All is well"


# Several workers


def test_each_worker_has_a_row() -> None:
    text = read(several()).text()
    assert "process 4711 of 3 workers" in text
    assert "3 live on this machine, 2 have ended: their counts are in the sums" in text
    heads = "process state in use commands failed"
    assert f"{heads} 4711, this one, since 01:00:00 connected 6 of 20 14 14" in text
    assert "4712, since 01:00:00 default unavailable" in text
    assert "4713, since 01:00:00 silent for 4.1 min" in text


def test_the_figures_of_several_workers_are_their_sums() -> None:
    text = read(several()).text()
    assert "pool in use 9 of 30" in text
    assert "Connections: 15 open, at most 30 to each server" in text
    assert "the sums of 3 workers on this machine" in text


def test_what_failed_in_any_worker_is_shown() -> None:
    text = read(several()).text()
    assert "NetworkTimeout heartbeat at db-b:27017 3" in text


def test_a_worker_in_trouble_is_worth_a_look() -> None:
    text = read(several()).text("section")
    assert "process 4712: default is unavailable there" in text
    assert "process 4713: it lives, and has told nothing for 4.1 min" in text
    assert "77-abcdefabcdef.worker can't be read (other users may write it)" in text


def test_workers_that_are_not_known_are_said_to_be_so() -> None:
    snapshot = replace(well(), workers=Workers((worker(4711),), trouble="Permission denied"))
    assert "Other workers are not known: Permission denied." in read(snapshot).text()


def test_a_database_that_was_never_connected_is_said_to_be_so() -> None:
    text = read(never_connected()).text("section")
    assert "This process is not connected to it (required)." in text
    assert "This process is not connected to it (optional)." in text


def test_without_traffic_there_is_no_plot() -> None:
    shown = read(replace(well(), figures={}))
    assert "No commands in the last five to ten minutes." in shown.text("figure")
    assert "No waits in the last five to ten minutes." in shown.text("figure")


def test_a_pool_without_a_limit_is_shown() -> None:
    text = read(changed("default", pool={"max_size": 0})).text("section")
    assert "at most any number" in text
    assert "room for" in text.split("database1")[-1]


def test_a_transfer_is_shown_with_its_progress_and_its_runner() -> None:
    shown = read(replace(well(), work={"database1": Work((transfer(),), 2)}))
    text = shown.text("section")
    assert "moves default to database1 · about 250 of 1,000 documents · runner worker:77" in text
    assert "database1: 2 further ones" in text
    assert "about 250 of 1,000 documents are there" in shown.drawings()


def test_transfers_into_a_database_that_is_away_are_said_to_be_unknown() -> None:
    text = read(changed("database1", connected=False, state="unavailable")).text("section")
    assert "Into database1: not known, it is away and was not asked" in text


def test_a_journal_that_could_not_be_read_is_said_to_be_unknown() -> None:
    snapshot = replace(well(), work={"database1": Work(error="it did not answer in time")})
    assert "Into database1: not known, it did not answer in time" in read(snapshot).text("section")


def test_the_recorder_and_the_outbox_are_shown() -> None:
    work = {"default": Work(outbox_entries=3, outbox_oldest_seconds=12.0)}
    text = read(replace(well(), work=work)).text("section")
    assert "Events since the start of this process; policy spool." in text
    assert "lag 200 ms" in text
    assert "default: 3 documents wait, the oldest for 12 s; this process does not deliver." in text


def test_what_fails_in_the_outbox_and_what_was_set_aside_is_shown() -> None:
    work = {"default": Work(outbox_entries=3, outbox_failing=2, outbox_set_aside=1)}
    text = read(replace(well(), work=work)).text("section")
    assert "default: 3 documents wait, 2 tried in vain, 1 set aside; this process" in text


# Whatever is shown, the page holds


@EVERY
def test_every_element_ends_where_it_should(make: Any) -> None:
    assert page(make()).startswith("<!doctype html>\n<html")
    assert read(make()).named("main") == [{}]


def test_hostile_names_and_errors_are_only_text() -> None:
    shown = read(hostile())
    assert shown.named("script") == []
    assert shown.named("b") == []
    assert "<script>alert('canary')</script>" in shown.text("h2")
    assert {name for name, _, _ in shown.elements} <= {
        name for name, _, _ in read(trouble()).elements
    } | {"p"}


def test_what_utf_8_cannot_hold_is_replaced() -> None:
    text = page(replace(well(), host="\udcff\0"))
    assert "??" not in page(well())
    assert "on ?\ufffd</title>" in text.encode().decode()


@EVERY
def test_the_page_refers_to_nothing_outside(make: Any) -> None:
    shown = read(make())
    assert {name for name, _, _ in shown.elements} & {
        "script", "img", "iframe", "object", "embed", "form", "base", "audio", "video", "source"
    } == set()  # fmt: skip
    (icon,) = shown.named("link")
    assert (icon["href"] or "").startswith("data:image/svg+xml,")
    assert not re.search(r"url\(|@import|expression", STYLE)
    used = [a for _, attributes, _ in shown.elements for a in attributes]
    assert not [name for name in used if name.startswith("on") or name in ("src", "style")]
    targets = {link["href"] or "" for link in shown.named("a")}
    assert {each for each in targets if not each.startswith("#database-")} == {"", "status.json"}


@EVERY
def test_headings_are_in_order(make: Any) -> None:
    levels = [int(name[1]) for name, _, _ in read(make()).elements if re.fullmatch("h[1-6]", name)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


@EVERY
def test_every_table_has_a_caption_and_headings(make: Any) -> None:
    shown = read(make())
    assert len(shown.named("caption")) == len(shown.named("table"))
    assert {head.get("scope") for head in shown.named("th")} <= {"col", "row"}


@EVERY
def test_every_drawing_is_described_or_beside_its_word(make: Any) -> None:
    shown = read(make())
    titled = sum(
        1 for name, _, inside in shown.elements if name == "title" and inside[-1:] == ["svg"]
    )
    drawings = shown.named("svg")
    hidden = [each for each in drawings if each.get("aria-hidden") == "true"]
    assert all(each.get("role") == "img" for each in drawings if each not in hidden)
    assert titled == len(drawings) - len(hidden)


@EVERY
def test_ids_are_unique_and_links_find_them(make: Any) -> None:
    shown = read(make())
    ids = [each["id"] for _, each, _ in shown.elements if "id" in each]
    assert len(ids) == len(set(ids))
    links = {(link["href"] or "")[1:] for link in shown.named("a")}
    assert {each for each in links if each.startswith("database-")} <= set(ids)
    labels = {each["aria-labelledby"] for each in shown.named("section") if len(each) > 2}
    assert labels <= set(ids)


def test_a_state_has_a_word_and_a_shape_and_not_only_a_colour() -> None:
    shapes = {
        tone: set(re.findall(rf'class="icon {tone}"[^>]*>(.*?)</svg>', text))
        for text in (page(trouble()) + page(well()) + page(never_connected()),)
        for tone in ("good", "warn", "bad")
    }
    assert [len(shape) for shape in shapes.values()] == [1, 1, 1]
    assert len(set.union(*shapes.values())) == 3


def colours(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", style))


LIGHT, DARK = (colours(part) for part in STYLE.split("@media screen", 1))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_everything_can_be_told_from_what_is_behind_it(scheme: dict[str, str]) -> None:
    grounds = {"ink": ["page", "card"], "soft": ["page", "card"], "plot": ["card", "line"]}
    for tone in ("good", "warn", "bad"):
        grounds[tone] = ["card", f"{tone}-tint"]
        grounds["ink"].append(f"{tone}-tint")
    # WCAG 2.2: 4.5 for texts (1.4.3), 3 for what is drawn (1.4.11).
    assert [
        (colour, ground)
        for colour, behind in grounds.items()
        for ground in behind
        if contrast(scheme[colour], scheme[ground]) < (4.5 if colour in ("ink", "soft") else 3.0)
    ] == []


# The plots


def test_a_distribution_says_its_total_and_percentiles_in_words() -> None:
    buckets = (Bucket(0.5, 0.6, 10), Bucket(90.0, 100.0, 2))
    drawn = distribution(buckets, {"p50": 0.55, "p99": None}, title="Times", unit="commands")
    said = Read(drawn).drawings()
    assert said.startswith("Times 12 commands; p50 550 µs. The axis of durations is logarithmic.")


def test_a_distribution_has_labelled_axes_with_units() -> None:
    drawn = distribution((Bucket(0.5, 0.6, 10),), {"p50": 0.55}, title="T", unit="commands")
    words = [text for inside, text in Read(drawn).texts if inside[-1:] == ["text"]]
    assert words == [
        "commands", "0", "4", "8", "100 µs", "1 ms", "duration, log scale", "p50 550 µs"
    ]  # fmt: skip


def test_a_single_slow_one_among_many_is_seen() -> None:
    buckets = (Bucket(1.0, 1.1, 1_000_000), Bucket(900.0, 950.0, 1))
    drawn = Read(distribution(buckets, {}, title="T", unit="commands"))
    heights = [float(r["height"] or 0) for r in drawn.named("rect")]
    assert min(heights) >= 2


def test_a_pool_bar_is_in_proportion() -> None:
    drawn = Read(pool_bar(3, 2, 10)).named("rect")
    assert [(r["class"], r["x"], r["width"]) for r in drawn] == [
        ("in-use", "0.00%", "30.00%"),
        ("idle", "30.00%", "20.00%"),
        ("room", "50.00%", "50.00%"),
    ]


def test_a_pool_bar_has_room_for_the_connections_to_several_servers() -> None:
    drawn = Read(pool_bar(12, 4, 10)).named("rect")
    assert [(r["class"], r["width"]) for r in drawn] == [("in-use", "75.00%"), ("idle", "25.00%")]


@pytest.mark.parametrize(("share", "width"), [(-1, "0.00%"), (0.256, "25.60%"), (7, "100.00%")])
def test_a_bar_stays_within_its_track(share: float, width: str) -> None:
    assert Read(bar(share, "said")).named("rect")[1]["width"] == width


def test_no_count_is_lost_on_the_way_to_columns() -> None:
    buckets = tuple(Bucket(2.0**at / 1000, 2.0 ** (at + 1) / 1000, at + 1) for at in range(25))
    made = columns(buckets, LogScale.of(buckets))
    assert sum(column.count for column in made) == pytest.approx(sum(b.count for b in buckets))


@pytest.mark.parametrize(
    ("bucket", "labels"),
    [
        (Bucket(0.0, 0.001, 1), ["1 µs", "10 µs"]),
        (Bucket(0.5, 0.6, 1), ["100 µs", "1 ms"]),
        (Bucket(1.0, 9_000.0, 1), ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]),
    ],
)
def test_the_axis_of_durations_has_room_for_all(bucket: Bucket, labels: list[str]) -> None:
    assert [label for _, label in LogScale.of((bucket,)).ticks()] == labels


def test_the_axis_of_durations_has_few_enough_labels_for_a_phone() -> None:
    widest = LogScale.of((Bucket(0.0, 68_000_000.0, 1),))
    assert len(widest.ticks()) <= 7


@pytest.mark.parametrize(
    ("largest", "top"), [(0.2, 2), (1, 2), (3, 4), (9, 10), (11, 20), (99, 100), (1234, 2000)]
)
def test_the_axis_of_counts_ends_at_a_round_number(largest: float, top: int) -> None:
    assert round_top(largest) == top


# Words and figures


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (None, "—"), (0, "0 µs"), (0.0004, "under 1 µs"), (0.0123, "12 µs"), (0.62, "620 µs"),
        (1.04, "1.0 ms"), (9.96, "10 ms"), (412.4, "412 ms"), (1320, "1.3 s"), (93_000, "1.6 min"),
        (7_200_000, "2.0 h"),
    ],
)  # fmt: skip
def test_a_duration_is_written_in_the_unit_that_fits(
    milliseconds: float | None, words: str
) -> None:
    assert duration(milliseconds) == words


def test_figures_are_written_for_people() -> None:
    assert [compact(each) for each in (0, 5, 1500, 2_000_000)] == ["0", "5", "1.5k", "2M"]
    assert [size(each) for each in (0, 18_233, 2.5e9)] == ["0 bytes", "18.2 kB", "2.5 GB"]
    assert [plural(each, "is", "are") for each in (1, 1000)] == ["1 is", "1,000 are"]


def test_a_moment_is_shown_in_utc() -> None:
    made = moment("2026-01-02T03:04:05+02:00")
    assert made == ('<time datetime="2026-01-02T03:04:05+02:00">2026-01-02 01:04:05 UTC</time>')


def test_only_markup_is_taken_as_it_is() -> None:
    assert element(
        "p", "<b>", Markup("<b></b>"), None, 7, title='"', data_x=None, hidden=True
    ) == ('<p title="&quot;" hidden>&lt;b&gt;<b></b>7</p>')
    assert joined("a", None, "&") == "a&amp;"


# Of real databases


@pytest.fixture
def databases(mongod: EmbeddedMongo) -> Iterator[None]:
    with model_registry(), connected(settings_for(mongod)):
        yield


def test_a_page_of_real_databases(databases: None) -> None:
    # The recorder is the process's, and counts what it lost in other tests.
    shown = read(replace(take_snapshot(db.status(), 2.0), recorder={}))
    assert shown.text("h1") == "All is well"
    assert "How long commands took" in shown.drawings()
