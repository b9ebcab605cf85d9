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
from fresh_databases import connected, model_registry
from observing import until
from running_servers import free_port
from snapshots import database, hostile, member, transfer, trouble, well

from datalayer import Settings, db
from datalayer.contrib.wsgi import HealthApp
from datalayer.core import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import SlowCommand
from datalayer.web.snapshot import Figures, Snapshot
from datalayer.web.work import Work

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


MADE = {"well": well, "trouble": trouble, "hostile": hostile, "unbreakable": unbreakable}


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
    app = HealthApp(token=TOKEN, timeout_seconds=1.0)
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


@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_no_label_of_a_plot_covers_another(browser: Browser, served: str, width: int) -> None:
    browser.open(served, TOKEN, width=width)
    covered = browser.run(
        """
        const pairs = [];
        for (const plot of document.querySelectorAll("svg.distribution")) {
          const labels = [...plot.querySelectorAll("text")];
          labels.forEach((one, at) => labels.slice(at + 1).forEach(other => {
            const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
            // The box of a text is higher than its letters.
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 0 && down > 4) pairs.push([one.textContent, other.textContent]);
          }));
        }
        return pairs;
        """
    )
    assert covered == []


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
    browser: Browser, address: str, mongod: EmbeddedMongo
) -> None:
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
            until(lambda: not db.status()["database1"]["connected"])
            browser.open(address, TOKEN)
            verdict = browser.run("return document.querySelector('.verdict').innerText")
            assert verdict.startswith("Ready, but something is amiss")
            assert "database1: optional and unavailable" in verdict
            assert (browser.requests(), browser.complaints()) == ([address], [])
            proxy.restore()
