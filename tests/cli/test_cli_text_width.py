"""How texts and tables fit into the width of a terminal."""

from __future__ import annotations

import pytest

from datalayer.cli.tables import Hosts, Name, Prose, Table, as_plain_text, as_rich
from datalayer.cli.text_width import (
    clipped,
    host_clipped,
    shared_out,
    width_of,
    wrapped,
    wrapped_lines,
)

MEMBERS = tuple(
    f"mongo-{number}.mongo-headless.production.svc.cluster.local:{27017 + number}"
    for number in range(3)
)
LONG = Table(
    (
        Name("alias"), "state", Name("database"), Hosts("hosts"), "version", "latency ms", "open",
        "in use", "max", "commands", "failed", "p95 ms",
    ),
    [
        ("default", "unavailable", "customer_relationship_management_production",
         ", ".join(MEMBERS), None, None, 0, 0, 10, 0, 0, None),
        ("analytics_archive_of_europe", "connected", "numbers", "127.0.0.1:27017", "7.0.28", 1.25,
         2, 0, 5, 1234567, 0, 17.41),
    ],
    title="databases at 2026-11-30T12:00:00.000+00:00",
    cut=5,
)  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(width: int) -> None:
    for text in (as_plain_text(LONG, width), as_rich(LONG, width=width).plain):
        assert max(map(width_of, text.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_states_numbers_and_ports_are_never_shortened(width: int) -> None:
    text = as_plain_text(LONG, width)
    words = text.split()
    assert {"unavailable", "connected", "1,234,567", "7.0.28"} <= set(words)
    assert [word[-6:] for word in words if word.startswith("mongo-")] == [
        ":27017", ":27018", ":27019",
    ]  # fmt: skip


def test_a_table_that_fits_is_left_as_it_is() -> None:
    assert as_plain_text(LONG, 1000) == as_plain_text(LONG)
    assert all(host in as_plain_text(LONG) for host in MEMBERS)
    assert "…" not in as_plain_text(LONG)


def test_a_table_that_is_too_wide_is_cut_in_two_that_begin_alike() -> None:
    table = Table((Name("alias"), "one", "two"), [("default", "x" * 20, "y" * 20)], cut=2)
    assert as_plain_text(table, 40).splitlines() == [
        "alias    one",
        "default  xxxxxxxxxxxxxxxxxxxx",
        "",
        "alias    two",
        "default  yyyyyyyyyyyyyyyyyyyy",
    ]


def test_a_heading_takes_two_lines_where_that_helps() -> None:
    table = Table((Name("alias"), "latency ms"), [("analytics", 1.5)])
    assert as_plain_text(table, 18).splitlines() == [
        "           latency",
        "alias           ms",
        "analytics     1.50",
    ]


def test_a_name_loses_its_end() -> None:
    assert clipped("customer_relations", 12, "…") == "customer_re…"
    assert clipped("customer_relations", 12, "...") == "customer_..."
    assert clipped("customers", 12, "…") == "customers"


def test_a_host_loses_its_middle_and_keeps_its_port() -> None:
    assert host_clipped(MEMBERS[1], 30, "…") == "mongo-1.mongo-he…r.local:27018"
    assert host_clipped("[2001:db8::ff00:42:8329]:27017", 20, "...") == "[2001:db...29]:27017"
    assert host_clipped("localhost:27017", 15, "…") == "localhost:27017"


def test_sentences_are_wrapped_between_words_and_nothing_is_left_out() -> None:
    text = "there is no primary: check that a majority of its members is up"
    lines = wrapped(text, 20)
    assert " ".join(lines) == text
    assert max(map(len, lines)) <= 20


def test_a_word_that_is_too_long_is_broken_at_its_seams() -> None:
    uri = "mongodb://db.example.com:27017/shop?replicaSet=rs0&tls=true"
    lines = wrapped(uri, 24)
    assert lines == ["mongodb://db.example.", "com:27017/shop?", "replicaSet=rs0&tls=true"]
    assert wrapped("x" * 10, 4) == ["xxxx", "xxxx", "xx"]


def test_letters_of_double_width_count_twice() -> None:
    assert width_of("数据库") == 6
    assert clipped("数据库数据库", 8, "…") == "数据库…"
    assert as_plain_text(Table(("name", "n"), [("数据", 1), ("shop", 2)])).splitlines() == [
        "name  n", "数据  1", "shop  2",
    ]  # fmt: skip


def test_lines_keep_their_indentation() -> None:
    assert wrapped_lines("one\n  two three", 7) == "one\n  two\n  three"


def test_what_is_left_goes_to_the_narrowest() -> None:
    assert shared_out([2, 2, 5], [10, 3, 5], 14) == [6, 3, 5]
    assert shared_out([10, 2], [10, 2], 6) == [4, 2]


def test_prose_is_never_shortened() -> None:
    table = Table((Name("check"), Prose("what")), [("network", "the host refuses connections")])
    text = as_plain_text(table, 30)
    assert "…" not in text
    assert "refuses" in text
