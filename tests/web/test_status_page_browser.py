"""The status page as a browser shows it: self-contained, on a phone and on a desk, in the light
and in the dark, and on paper."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from browsing import Browser, browsing
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from ports import free_port
from snapshots import changed, database, hostile, member, several, transfer, trouble, well
from waiting import wait_until

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.contrib.wsgi import HealthApp
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import Bucket, SlowCommand
from datalayer.recorder import Recorder
from datalayer.web.snapshot import Snapshot
from datalayer.web.transfers_and_outbox import Work
from datalayer.web.workers import Figures

TOKEN = "canary-token-of-the-tests"
PHONE, TABLET, DESK = 360, 840, 1440
LONG = "a_name_without_any_place_to_break_it_" * 4


def unbreakable() -> Snapshot:
    """Names as long as MongoDB allows, nearly, without a space."""
    entry = database(
        "default",
        database=LONG,
        uri=f"mongodb://{LONG}/{LONG}",
        last_error=LONG,
        members=[member(LONG), member(f"{LONG}2", "Unknown", None)],
    )
    slow = SlowCommand("2026-01-02T03:04:05+00:00", "default", LONG, LONG, 1.0, 1_000_000)
    return replace(
        well(),
        host=LONG,
        databases={"default": entry, LONG: database(LONG, required=False)},
        figures={"default": Figures(slow_commands=(slow,))},
        work={"default": Work((transfer(LONG, holder=LONG, seconds_left=0.0),))},
    )


MADE = {
    "well": well,
    "trouble": trouble,
    "several": several,
    "hostile": hostile,
    "unbreakable": unbreakable,
}


class _Server(ThreadingMixIn, WSGIServer):
    """A browser opens connections for later, which mustn't keep its present one waiting."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody wants to read it."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is served, with the headers that it is always served with."""
    app = HealthApp(token=TOKEN, timeout_seconds=30.0)
    with make_server("127.0.0.1", free_port(), app, _Server, _Silent) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/status"
        server.shutdown()
        thread.join(60)


@pytest.fixture(params=MADE)
def served(request: pytest.FixtureRequest, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the page of a made-up snapshot is served."""
    snapshot = MADE[request.param]()
    monkeypatch.setattr("datalayer.web.endpoints.take_snapshot", lambda *_: snapshot)
    return address


def background(browser: Browser) -> list[int]:
    told = browser.run("return getComputedStyle(document.body).backgroundColor")
    return [int(each) for each in told.strip("rgba()").split(",")[:3]]


def test_nothing_but_the_page_is_fetched_and_nothing_is_complained_about(
    browser: Browser, served: str
) -> None:
    browser.open(served, TOKEN)
    assert browser.requests() == [served]
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nobody_has_to_scroll_sideways(
    browser: Browser, served: str, width: int, dark: bool
) -> None:
    browser.open(served, TOKEN, width=width, dark=dark)
    inner, whole = browser.run(
        "const e = document.documentElement; return [e.clientWidth, e.scrollWidth]"
    )
    assert whole == inner <= width  # all but the scroll bar
    outside = browser.run(
        """
        const end = document.documentElement.clientWidth + 0.5;
        return [...document.querySelectorAll("body *")]
          .filter(each => !["TITLE", "DESC"].includes(each.tagName.toUpperCase()))
          .map(each => [each, each.getBoundingClientRect()])
          .filter(([_, box]) => box.left < -0.5 || box.right > end)
          .map(([each, box]) => each.outerHTML.slice(0, 80) + " " + box.left + " " + box.right)
        """
    )
    assert outside == []


def crossings(browser: Browser) -> list[list[str]]:
    """Labels of plots that lie over each other, or over the line of a percentile."""
    found: list[list[str]] = browser.run(
        """
        const box = each => each.getBoundingClientRect();
        // Half a pixel is what rounding may do.
        const cross = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
        const line = each => {
          const {left, top, bottom} = box(each);
          return {left: left - 1, right: left + 1, top, bottom};
        };
        const pairs = [];
        for (const plot of document.querySelectorAll("svg.distribution")) {
          const labels = [...plot.querySelectorAll("text")];
          labels.forEach((one, at) => labels.slice(at + 1).forEach(other => {
            if (cross(box(one), box(other))) pairs.push([one.textContent, other.textContent]);
          }));
          for (const each of plot.querySelectorAll(".percentile"))
            for (const label of labels)
              if (cross(box(label), line(each))) pairs.push([label.textContent, "a line"]);
        }
        return pairs;
        """
    )
    return found


@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_no_label_of_a_plot_covers_another(browser: Browser, served: str, width: int) -> None:
    browser.open(served, TOKEN, width=width)
    assert crossings(browser) == []


@pytest.mark.parametrize(
    "shares",
    [(0.001, 0.002, 0.003), (12.0, 55.0, 86.0), (999.0, 999.0, 999.0), (0.004, 9.99, 9990.0)],
    ids=["at the left", "in the middle", "at the right", "far apart"],
)
def test_no_label_is_covered_wherever_the_percentiles_are(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch, shares: tuple[float, ...]
) -> None:
    p50, p95, p99 = shares
    buckets = (Bucket(0.0005, 0.001, 4), Bucket(12.0, 13.0, 90_000), Bucket(9000.0, 9990.0, 3))
    snapshot = changed(
        "default",
        commands={"p50_ms": p50, "p95_ms": p95, "p99_ms": p99},
        pool={"checkout_p50_ms": p50, "checkout_p99_ms": p99},
    )
    figures = {"default": Figures(commands=buckets, checkouts=buckets[:2])}
    made = replace(snapshot, figures=figures)
    monkeypatch.setattr("datalayer.web.endpoints.take_snapshot", lambda *_: made)
    for width in (390, DESK):
        browser.open(address, TOKEN, width=width)
        assert crossings(browser) == []


@pytest.mark.parametrize("width", [390, DESK])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_label_is_covered_where_the_figures_are_real(
    browser: Browser, address: str, mongod: EmbeddedMongo, width: int, dark: bool
) -> None:
    with model_registry(), connected(settings_for(mongod)):
        things = registry.connection("default").database.things
        things.insert_many([{"n": n} for n in range(2000)])
        for n in range(200):
            things.find_one({"n": n * 10})
        browser.open(address, TOKEN, width=width, dark=dark)
        assert browser.run("return document.querySelectorAll('.percentile').length") >= 3
        assert crossings(browser) == []


def test_letters_in_plots_keep_their_size_on_a_phone(browser: Browser, address: str) -> None:
    sizes = "return [...document.querySelectorAll('svg text')].map(e => e.getBBox().height)"
    told = []
    for width in (PHONE, DESK):
        browser.open(address, TOKEN, width=width)
        told.append(browser.run(sizes))
    assert told[0] == told[1]


def test_the_reader_chooses_between_light_and_dark(browser: Browser, address: str) -> None:
    browser.open(address, TOKEN)
    light = background(browser)
    browser.open(address, TOKEN, dark=True)
    assert min(light) > 230
    assert max(background(browser)) < 40


def test_paper_is_white_for_those_who_read_in_the_dark_too(browser: Browser, address: str) -> None:
    browser.open(address, TOKEN, dark=True, paper=True)
    ink = browser.run("return getComputedStyle(document.querySelector('h1')).color")
    assert max(int(each) for each in ink.strip("rgb()").split(",")) < 60
    assert background(browser) == [255, 255, 255]
    assert browser.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    assert base64.b64decode(browser.printed()).startswith(b"%PDF")


def test_a_tile_leads_to_its_database(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalayer.web.endpoints.take_snapshot", lambda *_: trouble())
    browser.open(address, TOKEN)
    browser.run("document.querySelectorAll('.tiles a')[1].click()")
    heading = "return document.querySelector(':target h2').innerText"
    assert browser.run(heading).startswith("database1")


def test_the_page_of_real_databases_follows_them(
    browser: Browser, address: str, mongod: EmbeddedMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The application's recorder counts for as long as the process lives, other tests' losses too.
    monkeypatch.setattr("datalayer.recorder.stats", Recorder().stats)
    with FaultyProxy(mongod.hosts[0]) as proxy, model_registry():
        uris = {
            "default": mongod.uri_for("test_page_default"),
            "database1": proxy.uri_for("test_page_database1"),
        }
        with connected(Settings(databases=uris)):
            registry.connection("default").database.things.insert_many([{}, {}])
            browser.open(address, TOKEN)
            assert browser.run("return document.querySelector('h1').innerText") == "All is well"
            proxy.refuse()
            wait_until(lambda: not db.status()["database1"]["connected"])
            browser.open(address, TOKEN)
            verdict = browser.run("return document.querySelector('.verdict').innerText")
            assert verdict.startswith("Ready, but something is amiss")
            assert "database1: optional and unavailable" in verdict
            assert (browser.requests(), browser.complaints()) == ([address], [])
            proxy.restore()
