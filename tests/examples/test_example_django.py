"""``examples/django_app``: its own tests, and the application as a newcomer and as a server runs
it."""

from __future__ import annotations

import http.cookiejar
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from paths import EXAMPLES
from pymongo import MongoClient
from running_programs import installed, python
from running_servers import ANSWER_SECONDS, Running, running
from waiting import wait_until

from datalayer.embedded import EmbeddedMongo

pytestmark = pytest.mark.applications

EXAMPLE = EXAMPLES / "django_app"
TOKEN = "a-token-of-the-tests"
WARNINGS = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
START_SECONDS = 90.0


@pytest.fixture
def environment() -> dict[str, str]:
    """As on a newcomer's machine: no server anywhere."""
    return {
        "MONGODB_URI": "",
        "DATALAYER_STATUS_TOKEN": TOKEN,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Browser:
    """Keeps cookies, fills forms in, and follows redirects."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        with self._opener.open(self.base + path, timeout=ANSWER_SECONDS) as answer:
            self.path = urllib.parse.urlparse(answer.url).path
            return str(answer.read().decode())

    def send(self, path: str, **fields: str) -> str:
        """Send the form that is at ``path``, with its hidden fields."""
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.get(path))
        return self.post(path, **dict(hidden), **fields)

    def post(self, path: str, **fields: str) -> str:
        body = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(self.base + path, body, {"Referer": self.base})
        with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
            self.path = urllib.parse.urlparse(answer.url).path
            return str(answer.read().decode())


def wait_for_start(server: Running) -> None:
    def ready() -> bool:
        assert server.process.poll() is None, server.said
        try:
            return bool(server.ask("/readyz")["status"] == "pass")
        except OSError:
            return False

    wait_until(ready, START_SECONDS, "it is ready")


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return python(*WARNINGS, "manage.py", *words, cwd=EXAMPLE, environment=environment)


@pytest.mark.slow
def test_its_own_tests_pass(environment: dict[str, str]) -> None:
    done = manage(environment, "test")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Ran \d\d tests", done.stderr)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_tests_pass_under_pytest_side_by_side(environment: dict[str, str]) -> None:
    words = ["-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(EXAMPLE)]
    done = python(*words, environment=environment)
    assert done.returncode == 0, done.stdout


def test_django_finds_nothing_wrong_with_it(environment: dict[str, str]) -> None:
    done = manage(environment, "check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_for_production_it_wants_a_server(environment: dict[str, str]) -> None:
    environment |= {
        "DEBUG": "false",
        "SECRET_KEY": "many different letters, 0123456789 and digits",
    }
    done = manage(environment, "check", "--deploy")
    assert done.returncode == 1
    assert "MONGODB_URI" in done.stderr


def test_its_one_command_has_help_and_starts_nothing_for_it(environment: dict[str, str]) -> None:
    done = python(str(EXAMPLE / "start.py"), "--help", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: start.py [-h] [ADDRESS:PORT]")


@pytest.mark.slow
def test_a_newcomer_starts_it_with_one_command_and_uses_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    def start(port: int) -> list[str]:
        return [sys.executable, str(EXAMPLE / "start.py"), f"127.0.0.1:{port}"]

    with running(start, environment, tmp_path) as server:
        wait_for_start(server)
        browser = Browser(server.port)
        assert "Bicycle, nearly new" in browser.get("/")

        browser.send("/login", email="grace@example.org", password="neighbour")
        offers = browser.get("/?words=bicycle")
        offer = re.search(r"/advertisements/[0-9a-f]{24}", offers)
        assert offer is not None
        assert "Paid: 180.00 EUR." in browser.send(f"{offer[0]}/pay")

        assert "Ada" in browser.get("/nearby?longitude=13.4&latitude=52.52&kilometres=3")
        chat = re.search(r"/chat/[0-9a-f]{24}", browser.get("/chat"))
        assert chat is not None
        assert "I paid." in browser.send(chat[0], text="I paid.")

        wait_until(
            lambda: "<td>pay</td><td>1</td>" in browser.get("/numbers"),
            ANSWER_SECONDS,
            "the page view is counted",
        )
        with pytest.raises(urllib.error.HTTPError, match="401"):
            browser.get("/status")
        asked = urllib.request.Request(f"{browser.base}/status")
        asked.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:
            assert answer.headers["Content-Type"].startswith("text/html")

        server.stop()
    assert "Traceback" not in server.said


@pytest.mark.slow
def test_behind_gunicorn_its_workers_share_sessions_and_data(
    environment: dict[str, str], mongod: EmbeddedMongo, database_name: str, tmp_path: Path
) -> None:
    environment |= {
        "MONGODB_URI": mongod.uri_for(database_name),
        "DATABASE1_URI": mongod.uri_for(f"{database_name}_1"),
    }

    def gunicorn(port: int) -> list[str]:
        options = ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--chdir", str(EXAMPLE)]
        command = [sys.executable, *WARNINGS, str(installed("gunicorn"))]
        return [*command, *options, "neighbours.wsgi"]

    with running(gunicorn, environment, tmp_path) as server:
        wait_for_start(server)
        browser = Browser(server.port)
        form = {"display_name": "Ada", "password": "a good password"}
        browser.send("/sign-up", email="ada@example.org", **form)
        for _ in range(8):
            browser.get("/profile")
            assert browser.path == "/profile"
        server.stop()
    assert "Traceback" not in server.said
    with MongoClient(mongod.uri) as client:  # what was recorded is stored before a worker ends
        events = client[f"{database_name}_1"]["analytics_events"]
        assert events.count_documents({"properties.route": "profile"}) >= 8
