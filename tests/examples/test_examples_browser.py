"""The example applications as a browser shows them: on a phone and on a desk, in the light and in
the dark, with words that are too long, and without a mouse."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browsing import Browser, browsing
from paths import EXAMPLES
from running_servers import Running, running
from waiting import wait_until

from datalayer.embedded import EmbeddedMongo

pytestmark = pytest.mark.applications

PHONE, DESK = 390, 1440
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
START_SECONDS = 90.0
SEND_SECONDS = 30.0

OUTSIDE = """
    const end = document.documentElement.clientWidth + 0.5;
    return [...document.querySelectorAll("body *")]
      .map(each => [each, each.getBoundingClientRect()])
      .filter(([_, box]) => box.width && box.bottom > 0 && (box.left < -0.5 || box.right > end))
      .map(([each]) => each.outerHTML.slice(0, 80));
"""
"""What sticks out of the page at its sides."""

TOO_FAINT = """
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const isClear = colour => parts(colour)[3] === 0;
    const light = colour => parts(colour).slice(0, 3)
      .map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
      .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
    const contrast = (one, other) => {
      const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    };
    const behind = each => {
      for (; each; each = each.parentElement) {
        const colour = getComputedStyle(each).backgroundColor;
        if (!isClear(colour)) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const faint = [];
    for (const each of document.querySelectorAll("body, body *")) {
      const style = getComputedStyle(each);
      const note = (what, ratio) => faint.push([what, ratio, each.outerHTML.slice(0, 80)]);
      if ([...each.childNodes].some(node => node.nodeType === 3 && node.data.trim())) {
        const ratio = contrast(style.color, behind(each));
        if (ratio < 4.5) note("letters", ratio);
      }
      for (const side of ["Top", "Right", "Bottom", "Left"]) {
        const line = style[`border${side}Color`];
        if (style[`border${side}Style`] === "none" || isClear(line)) continue;
        const ratio = contrast(line, behind(each.parentElement));
        if (ratio < 3) note("line", ratio);
      }
    }
    return faint;
"""
"""Letters and lines with less contrast than WCAG 2.2 asks for (1.4.3, 1.4.11)."""


@dataclass(frozen=True)
class Example:
    """How to start one, and where to find what in it."""

    start: tuple[str, ...]
    password: str
    sign_in: str
    new_offer: str
    pages: tuple[str, ...]

    def words(self, port: int) -> list[str]:
        program, *words = self.start
        return [sys.executable, str(EXAMPLES / program), *(each.format(port) for each in words)]


FLASK = Example(
    start=("flask_app/serve.py", "--port", "{}"),
    password="a-sample-password",
    sign_in="/sign-in",
    new_offer="/offers/new",
    pages=("/", "/people", "/chats", "/nowhere"),
)
DJANGO = Example(
    start=("django_app/start.py", "127.0.0.1:{}"),
    password="neighbour",
    sign_in="/login",
    new_offer="/advertisements/new",
    pages=("/", "/nearby", "/chat", "/numbers"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def address(example: Example, server: Running, page: str) -> str:
    return f"http://127.0.0.1:{server.port}{page}"


def send(browser: Browser, **fields: str) -> None:
    """Fill the form of the page in, as it is, and wait for the page after it."""
    fill = (
        "document.isOld = true; const form = document.querySelector('form.sheet, .chat ~ form');"
    )
    fill += "form.noValidate = true;"
    for name, value in fields.items():
        fill += f"form.elements[{name!r}].value = {value!r};"
    browser.run(fill + "form.requestSubmit();")
    loaded = "return !document.isOld && document.readyState === 'complete'"
    wait_until(lambda: browser.run(loaded), SEND_SECONDS, "the form is sent")


def flaws(browser: Browser) -> list[object]:
    """Of the page that is loaded, in both widths and both kinds of light."""
    found: list[object] = []
    for dark in (False, True):
        for width in (PHONE, DESK):
            browser.show(width=width, dark=dark)
            found += [(width, each) for each in browser.run(OUTSIDE)]
        found += [("dark" if dark else "light", each) for each in browser.run(TOO_FAINT)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("example", [FLASK, DJANGO], ids=["flask", "django"])
def test_an_example_is_fit_for_phones_for_weak_eyes_and_for_keyboards(
    example: Example, browser: Browser, mongod: EmbeddedMongo, database_name: str, tmp_path: Path
) -> None:
    environment = {
        "MONGODB_URI": mongod.uri_for(database_name),
        "DATABASE1_URI": mongod.uri_for(f"{database_name}_1"),
    }
    with running(example.words, environment, tmp_path) as server:
        wait_until(lambda: is_ready(server), START_SECONDS, "it is ready")
        seen: dict[str, list[object]] = {}

        browser.open(address(example, server, example.sign_in), "")
        assert 'class="skip"' in browser.press("TAB")
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert browser.run(outline) == "solid"
        send(browser, email="ada@example.org", password="wrong")
        assert browser.run("return document.activeElement.name") == "password"
        seen["sign-in"] = flaws(browser)
        send(browser, email="ada@example.org", password=example.password)

        browser.open(address(example, server, example.new_offer), "")
        offer = {"title": LONG, "body": f"{LONG}\n{LONG}", "category": LONG[:60]}
        send(browser, **offer, price="1.234,50")
        assert browser.run("return document.activeElement.name") == "price"
        seen["an offer that is refused"] = flaws(browser)
        send(browser, **offer, price="12,50")
        seen["an offer"] = flaws(browser)
        for page in example.pages:
            browser.open(address(example, server, page), "")
            seen[page] = flaws(browser)
        browser.open(address(example, server, example.pages[2]), "")
        browser.run("document.querySelector('.card a').click()")
        wait_until(
            lambda: browser.run("return document.querySelector('.chat ~ form') !== null"),
            SEND_SECONDS,
            "the chat is there",
        )
        send(browser, text=LONG)
        seen["a chat"] = flaws(browser)
        server.stop()
    assert {page: found for page, found in seen.items() if found} == {}


def is_ready(server: Running) -> bool:
    assert server.process.poll() is None, server.said
    try:
        return bool(server.ask("/readyz")["status"] == "pass")
    except OSError:
        return False
