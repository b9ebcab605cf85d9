"""Takes the pictures of the documentation: the status page, `top`, both examples, the dashboard.

    .venv/bin/python scripts/pictures.py [NAME ...]

From programs that run, with data that they have made meanwhile. Needs the extra `dev`, Chromium
and its driver; the dashboard needs Debian's `prometheus` too. Writes `docs/pictures/`.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datalayer.embedded import EmbeddedMongo

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 150_000
DESK, PHONE = 1100, 390
WORKERS = 3
PATIENCE_SECONDS = 90.0
_CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-first-run", "--disable-background-networking")  # fmt: skip


class Browser:
    """Chromium, driven over WebDriver."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, *, width: int = DESK, dark: bool = False) -> None:
        """Load ``url`` in a window of ``width`` pixels."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._tell("Emulation.setEmulatedMedia", {"features": scheme})
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self._tell("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(url)

    def fill(self, **values: str) -> None:
        """Fill the page's first form and send it."""
        for name, value in values.items():
            self.driver.find_element("name", name).send_keys(value)
        name = next(iter(values))
        self.driver.find_element("name", name).submit()

    def picture(self, name: str, *, height: int) -> None:
        """The page down to ``height`` pixels as ``NAME.png``."""
        width, end = self.driver.execute_script(
            "return [document.documentElement.clientWidth, Math.ceil("
            "Math.max(...[...document.body.querySelectorAll('*')]"
            ".map(each => each.getBoundingClientRect().bottom))) + 24]"
        )
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, end), "scale": 1}
        told = self._tell("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        save(name, base64.b64decode(told["data"]))

    def _tell(self, command: str, parameters: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a past."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory() as directory:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in (*_CHROMIUM, f"--user-data-dir={directory}"):
            options.add_argument(argument)
        service = Service(str(shutil.which("chromedriver")))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


def save(name: str, data: bytes) -> None:
    """Write a picture; raises ``SystemExit`` for one that is too large."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    path.write_bytes(data)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}  {size / 1000:.0f} kB", flush=True)
    if size >= MOST_BYTES:
        raise SystemExit(f"{path.name} is too large")


@contextmanager
def running(words: list[str], environment: Mapping[str, str], directory: Path) -> Iterator[None]:
    """A server of an example, until the end of the block."""
    process = subprocess.Popen(
        words, cwd=directory, env={**os.environ, **environment}, stdin=subprocess.PIPE
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str) -> None:
    """Until it answers."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def free_port() -> int:
    """One that nobody listens on."""
    for port in range(21_000 + os.getpid() % 1000, 32_000):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit("no port is free")


@contextmanager
def visitors(address: str, paths: tuple[str, ...], form: Mapping[str, str]) -> Iterator[None]:
    """Some people who sign in and look at pages, until the end of the block."""
    stopping = threading.Event()

    def visit() -> None:
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        opener = urllib.request.build_opener(jar)
        with suppress(OSError):
            opener.open(f"{address}/sign-in", urlencode(form).encode(), 30).close()
        while not stopping.is_set():
            for path in paths:
                with suppress(OSError):
                    opener.open(address + path, timeout=30).close()

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()


# The Flask example, and the status page of its workers


@contextmanager
def flea_market(server: EmbeddedMongo) -> Iterator[str]:
    """Its address, served by several workers."""
    port = free_port()
    directory = ROOT / "examples" / "flask_app"
    environment = {
        "MONGODB_URI": server.uri_for("flea_market"),
        "MONGODB_OPERATION_TIMEOUT_MS": "4000",
        "FLEA_MARKET_SECRET_KEY": secrets.token_hex(),
        "FLEA_MARKET_ADMINS": json.dumps(["ada@example.org"]),
        "PYTHONPATH": os.pathsep.join((str(directory), str(ROOT))),
    }
    fill = ("from flea_market import create_app, datalayer; from flea_market.sample import fill; "
            "datalayer.connect_now(create_app()); fill()")  # fmt: skip
    words = [sys.executable, "-c", fill]
    subprocess.run(words, cwd=directory, env={**os.environ, **environment}, check=True)
    serve = ["-m", "gunicorn", "--workers", str(WORKERS), "--threads", "2", "--bind"]
    serve += [f"127.0.0.1:{port}", "--config", "python:datalayer.contrib.gunicorn"]
    serve += ["--no-control-socket", "flea_market:create_app()"]
    with running([sys.executable, *serve], environment, directory):
        wait_for(f"http://127.0.0.1:{port}/livez")
        yield f"http://127.0.0.1:{port}"


def take_status_and_flask() -> None:
    """The status page, well and during an outage, and the Flask example."""
    account = {"email": "ada@example.org", "password": "a-sample-password"}
    with EmbeddedMongo() as server, flea_market(server) as address, browsing() as browser:
        browser.open(f"{address}/sign-in")
        browser.fill(**account)
        pages = ("/", "/people", "/payments", "/chats")
        with visitors(address, pages, account):
            time.sleep(15)
            browser.open(f"{address}/status")
            browser.picture("status-page", height=1150)
            browser.open(f"{address}/status", width=PHONE, dark=True)
            browser.picture("status-page-phone", height=900)
            browser.open(address)
            browser.picture("flask-example", height=900)
            server.pause(0)
            time.sleep(25)
            browser.open(f"{address}/status")
            browser.picture("status-page-outage", height=1000)
            server.resume(0)


# The Django example


def take_django() -> None:
    """The Django example."""
    port = free_port()
    directory = ROOT / "examples" / "django_app"
    words = [sys.executable, "start.py", f"127.0.0.1:{port}"]
    with running(words, {}, directory), browsing() as browser:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/livez")
        browser.open(f"{address}/login")
        browser.fill(email="ada@example.org", password="neighbour")
        browser.open(address)
        browser.picture("django-example", height=900)


# The command line


def take_top() -> None:
    """What `datalayer top` prints, as SVG."""
    from rich.console import Console
    from rich.text import Text

    with EmbeddedMongo() as server:
        uris = {"MONGODB_URI": server.uri_for("shop"), "DATABASE1_URI": server.uri_for("visits")}
        words = [str(Path(sys.executable).with_name("datalayer")), "top", "--count", "2"]
        environment = {**os.environ, **uris, "COLUMNS": "100"}
        with busy(server):
            done = subprocess.run(words, env=environment, capture_output=True, text=True,
                                  check=True)  # fmt: skip
    text = "databases at" + done.stdout.split("databases at")[-1].rstrip()
    width = max(map(len, text.splitlines()))
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(Text.from_ansi(text))
    drawn = console.export_svg(title="datalayer top")
    PICTURES.mkdir(exist_ok=True)
    # Rich names fonts of a server elsewhere; a reader's own will do.
    (PICTURES / "top.svg").write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))
    print("docs/pictures/top.svg")


# The dashboard

MEASURED = """
import sys, threading
from prometheus_client import start_http_server
from datalayer import Settings, db
from datalayer.contrib import prometheus
from datalayer.connections.registry import registry

prometheus.register()
start_http_server(int(sys.argv[3]), "127.0.0.1")
uris = {"default": sys.argv[1], "database1": sys.argv[2]}
db.connect_all(Settings({a: {"uri": u, "operation_timeout_ms": 3000} for a, u in uris.items()}))

def work(alias):
    things = registry.connection(alias).database.things
    while True:
        try:
            things.insert_one({})
            list(things.find().limit(50))
        except Exception:
            pass

for alias in (*uris, "default"):
    threading.Thread(target=work, args=[alias], daemon=True).start()
sys.stdin.read()
"""
"""A program that works on both databases, and exposes its figures."""


def take_dashboard() -> None:
    """The dashboard's panels, while a server hangs for a while, with what Prometheus answers."""
    from dashboard_picture import page, panels

    measured, asked = free_port(), free_port() + 1
    with tempfile.TemporaryDirectory() as scratch, EmbeddedMongo() as server, ExitStack() as stack:
        config = Path(scratch) / "prometheus.yml"
        scraped = {"job_name": "shop", "static_configs": [{"targets": [f"127.0.0.1:{measured}"]}]}
        limits = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        config.write_text(json.dumps({"global": limits, "scrape_configs": [scraped]}))
        uris = [server.uri_for("shop"), server.uri_for("visits")]
        program = [sys.executable, "-c", MEASURED, *uris, str(measured)]
        stack.enter_context(running(program, {}, ROOT))
        words = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={scratch}/data",
                 f"--web.listen-address=127.0.0.1:{asked}", "--log.level=error"]  # fmt: skip
        stack.enter_context(running(words, {}, Path(scratch)))
        wait_for(f"http://127.0.0.1:{asked}/-/ready")
        start = time.time() + 5
        time.sleep(45)
        server.pause(0)
        time.sleep(20)
        server.resume(0)
        time.sleep(25)
        end = time.time()
        drawn = panels(f"http://127.0.0.1:{asked}", start, end, 2)
        file = Path(scratch) / "dashboard.html"
        file.write_text(page(drawn, start, end))
        with browsing() as browser:
            browser.open(f"file://{file}")
            browser.picture("dashboard-panels", height=992)


@contextmanager
def busy(server: EmbeddedMongo) -> Iterator[None]:
    """Somebody who reads from the server, with one query that takes long."""
    from pymongo import MongoClient

    stopping = threading.Event()

    def read() -> None:
        with MongoClient(server.uri_for("shop")) as client:
            client.shop.orders.insert_one({"_id": 1, "total": 12})
            while not stopping.is_set():
                client.shop.orders.find_one({"$where": "sleep(300) || true"})

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


TAKEN: Mapping[str, Callable[[], None]] = {
    "status": take_status_and_flask,
    "django": take_django,
    "top": take_top,
    "dashboard": take_dashboard,
}


def main() -> None:
    """Take those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TAKEN, []], metavar="NAME")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack():
        for name in parser.parse_args().names or TAKEN:
            TAKEN[name]()


if __name__ == "__main__":
    main()
