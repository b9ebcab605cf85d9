"""Follows pages of the documentation as a reader does: makes the files that a page shows, types
its commands, and its Python into one session.

Each line of standard input is a JSON list of the page, an empty folder, a server and a name; the
answer is one of the exit code and what was said. Hosts in ``example.com`` or ``mongodb.net``, and
``localhost:27017``, stand for the reader's own server: they become the server given, whose URI has
``DATABASE`` in it, and their databases those whose names begin with the name given. What the page
has not installed can't be imported. Everything happens in forks of this process, so that nothing
is imported twice.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from children import (
    DEADLINE_SECONDS,
    Unfollowable,
    end_of,
    has_ended,
    in_child,
    kill,
    run,
    start,
    wait_for,
)
from pages import OPTIONAL_MODULES, Block, blocks_of, modules_of

del sys.path[:2]  # the tests' own modules are none of the reader's
PLACEHOLDER = re.compile(
    r"mongodb(?:\+srv)?://(?:[^\s\"'/]*(?:example\.com|mongodb\.net)[^\s\"'/]*|localhost:27017)"
    r"/(?P<name>\w*)(?:\?[^\s\"']*)?"
)
SERVERS = {  # what serves until it is stopped, with what it takes to choose the port
    r"flask .*\brun\b": "--port {port}",
    r"gunicorn ": "--bind 127.0.0.1:{port}",
    r"python manage.py runserver": "--noreload {port}",
    r"uwsgi ": "",  # its line names the address
}
LASTING = r".*datalayer[ _](top|outbox run)(?!.*--once)|.* --follow|celery .* worker"
MAY_FIND_SOMETHING = (
    r"datalayer (doctor|indexes diff|shard|schema (check|diff))|python manage.py datalayer"
)
SHOWN = re.compile(r"(127\.0\.0\.1|localhost):(5000|8000)")


HIDDEN = set(OPTIONAL_MODULES)
"""What the page has not installed so far."""


class Installed:
    """A finder that doesn't find what is hidden."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, *others: Any) -> Any:
        if any(name == each or name.startswith(f"{each}.") for each in HIDDEN):
            return None
        return self._finder.find_spec(name, *others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


class Reader:
    def __init__(self, page: Path, server: str, database: str) -> None:
        self.page = page
        self.server = server
        self.database = database
        self.session = Session()
        self.lasting: list[tuple[int, str]] = []
        self.port = 0
        self.answer = ""
        self.logs = Path.cwd().parent

    def follow(self) -> None:
        for block in blocks_of(self.page):
            if block.reason is not None:
                continue
            try:
                self._do(block)
            except Unfollowable as exc:
                raise Unfollowable(f"{self.page.name}:{block.line}: {exc}") from None
        for pid, command in self.lasting:
            self._end(pid, command)
        self.session.end()

    def _do(self, block: Block) -> None:
        if block.file is not None:
            self._write(block)
        elif block.language == "python":
            self.session.type(block, self.page)
        elif block.language in ("sh", "console"):
            for command in block.commands:
                self._type(command)
        elif block.language in ("text", "json"):
            if block.text.strip() not in self.answer:
                raise Unfollowable(f"the answer was another one:\n{self.answer}")
        else:
            raise Unfollowable(f"what is to be done with a block of {block.language!r}?")

    def _write(self, block: Block) -> None:
        path = Path(str(block.file))
        path.parent.mkdir(parents=True, exist_ok=True)
        if block.is_added and not path.exists():
            raise Unfollowable(f"{path} isn't there yet")
        with path.open("a" if block.is_added else "w", encoding="utf-8") as file:
            file.write(self._placed(block.text))

    def _placed(self, text: str) -> str:
        """With the reader's own server in the place of the page's."""
        return PLACEHOLDER.sub(lambda found: self._uri(found["name"]), text)

    def _uri(self, name: str) -> str:
        return self.server.replace(
            "DATABASE", f"{self.database}_{name}" if name else self.database
        )

    def _type(self, command: str) -> None:
        server = next((pattern for pattern in SERVERS if re.match(pattern, command)), None)
        if server is not None:
            self._serve(command, SERVERS[server])
            return
        command = self._placed(SHOWN.sub(f"127.0.0.1:{self.port}", command))
        if command.startswith("pip install "):
            install(shlex.split(command, comments=True)[2:])
        elif command.startswith("export "):
            export(command)
        elif command.startswith("curl "):
            self.answer = ask(shlex.split(command)[1:])
        else:
            self._run(self._cheaper(command))

    def _cheaper(self, command: str) -> str:
        """With the server that is there, and a small demonstration."""
        if command.startswith("python manage.py test"):
            return f"{command} --datalayer-uri {self._uri('test')}"
        if command.startswith("datalayer demo") and "--scale" not in command:
            return f"{command} --scale 0.02"
        return command

    def _run(self, command: str) -> None:
        log = self.logs / f"output-{time.monotonic_ns()}"
        pid = start(partial(run, command), log)
        if re.match(LASTING, command):
            self.lasting.append((pid, command))
            soon = time.monotonic() + 3  # some have nothing to say
            while not (log.stat().st_size or has_ended(pid) or time.monotonic() > soon):
                time.sleep(0.01)
            return
        code = end_of(pid, command, log)
        self.answer = log.read_text(encoding="utf-8", errors="replace")
        if code not in ({0, 3} if re.match(MAY_FIND_SOMETHING, command) else {0}):
            raise Unfollowable(f"`{command}` ended with {code}:\n{self.answer}")

    def _serve(self, command: str, options: str) -> None:
        for pid, earlier in self.lasting:
            self._end(pid, earlier)
        self.lasting.clear()
        self.port = free_port()
        command = SHOWN.sub(f"127.0.0.1:{self.port}", command)
        command = f"{command} {options.format(port=self.port)}".strip()
        log = self.logs / f"output-{time.monotonic_ns()}"
        pid = start(partial(run, command), log)
        self.lasting.append((pid, command))
        wait_for(lambda: answers(self.port) or has_ended(pid), command)
        if has_ended(pid):
            self.lasting.clear()
            raise Unfollowable(f"`{command}` ended:\n{log.read_text(encoding='utf-8')}")

    def _end(self, pid: int, command: str) -> None:
        if has_ended(pid):
            return
        os.killpg(pid, signal.SIGINT if "runserver" in command else signal.SIGTERM)
        soon = time.monotonic() + PATIENCE_SECONDS
        while not has_ended(pid):
            if time.monotonic() > soon:
                # A worker that was just starting had no handlers yet, and may have missed it.
                kill(pid)
                end_of(pid, command, None)
                return
            time.sleep(0.01)
        code = end_of(pid, command, None)
        if code not in (0, 130, 143, -signal.SIGTERM, -signal.SIGINT):
            raise Unfollowable(f"`{command}` ended with {code} when it was stopped")


PATIENCE_SECONDS = 5
"""Before what doesn't end is killed, as a reader does; how servers end is tried elsewhere."""


class Session:
    """One Python session, in a child of its own, which begins with the first block."""

    def __init__(self) -> None:
        self._pid = 0

    def type(self, block: Block, page: Path) -> None:
        if not self._pid:
            self._begin(page)
        self._questions.write(json.dumps([block, sorted(HIDDEN)]) + "\n")
        self._questions.flush()
        answer = self._answers.readline()
        if answer != "done\n":
            said = json.loads(answer) if answer else "the session has ended"
            raise Unfollowable(f"Python says:\n{said}")

    def _begin(self, page: Path) -> None:
        read, write = os.pipe()
        read_answer, write_answer = os.pipe()
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(write)
            os.close(read_answer)
            in_child(lambda: self._work(os.fdopen(read), os.fdopen(write_answer, "w"), page))
        os.close(read)
        os.close(write_answer)
        self._questions, self._answers = os.fdopen(write, "w"), os.fdopen(read_answer)

    def _work(self, questions: Any, answers: Any, page: Path) -> None:
        module = type(sys)("__main__")
        sys.modules["__main__"] = module
        sys.path.insert(0, "")
        for line in questions:
            asked, hidden = json.loads(line)
            block = Block(*asked)
            HIDDEN.intersection_update(hidden)
            try:
                # Empty lines in front, so that a traceback tells the line of the page.
                text = "\n" * block.line + block.text
                exec(compile(text, str(page), "exec"), module.__dict__)
            except BaseException:
                answers.write(json.dumps(traceback.format_exc()) + "\n")
                answers.flush()
                raise SystemExit(1) from None
            answers.write("done\n")
            answers.flush()

    def end(self) -> None:
        if self._pid:
            self._questions.close()
            code = end_of(self._pid, "the Python session", None)
            if code != 0:
                raise Unfollowable(f"the Python session ended with {code}")


def free_port() -> int:
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(words: list[str]) -> str:
    """What ``curl`` would show, of the few options that pages use."""
    request = urllib.request.Request(words[-1])
    for word, following in itertools.pairwise(words):
        if word in ("-H", "--header"):
            name, _, value = os.path.expandvars(following).partition(": ")
            request.add_header(name, value)
        if word in ("-d", "--data"):
            request.data = following.encode()
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as exc:
        raise Unfollowable(f"{words[-1]} answered {exc.code}: {exc.read()[:2000]!r}") from None


def export(command: str) -> None:
    """What a shell makes of ``export NAME=value``, for all that follows."""
    shell = ["sh", "-ec", f"{command}; env -0"]
    said = subprocess.run(shell, capture_output=True, text=True, check=True)
    pairs = (each.partition("=") for each in said.stdout.split("\0") if each)
    os.environ.update({name: value for name, _, value in pairs})


def install(requirements: list[str]) -> None:
    """All is there already; from now on it can be imported."""
    for requirement in requirements:
        HIDDEN.difference_update(modules_of(requirement))
    if "fiftyone" not in HIDDEN and MONGOD:
        os.environ["DATALAYER_MONGOD"] = MONGOD
    if "django" not in HIDDEN:
        for module in ("core.management", "db.models", "http", "test", "urls"):
            importlib.import_module(f"django.{module}")  # once, for all forks


MONGOD = os.environ.get("DATALAYER_MONGOD")


def prepare(page: Path, server: str, database: str) -> None:
    """The reader's machine: nothing installed but datalayer, two databases, and no other
    variables of ours."""
    for name in list(os.environ):
        if name.startswith(("MONGODB_", "DATABASE1_", "DATALAYER_")):
            del os.environ[name]
    bin_directory = os.path.dirname(sys.executable)
    os.environ["PATH"] = os.pathsep.join([bin_directory, os.environ.get("PATH", "")])
    os.environ["PYTEST_ADDOPTS"] = f"--datalayer-uri={server.replace('DATABASE', database)}"
    text = page.read_text(encoding="utf-8")
    if not re.search(r"^(export )?MONGODB_URI=", text, re.MULTILINE):
        os.environ["MONGODB_URI"] = server.replace("DATABASE", database)
        os.environ["DATABASE1_URI"] = server.replace("DATABASE", f"{database}_analytics")


def follow(page: Path, folder: Path, server: str, database: str) -> None:
    os.chdir(folder)
    prepare(page, server, database)
    reader = Reader(page, server, database)
    try:
        reader.follow()
    except Unfollowable as exc:
        raise SystemExit(str(exc)) from None
    finally:
        for pid, _ in reader.lasting:
            kill(pid)


def main() -> None:
    sys.meta_path[:] = [Installed(finder) for finder in sys.meta_path]
    for module in ("datalayer.cli", "datalayer.db", "datalayer.models"):
        importlib.import_module(module)
    for line in sys.stdin:
        page, folder, server, database = json.loads(line)
        log = Path(folder).with_name("said")
        pid = start(partial(follow, Path(page), Path(folder), server, database), log)
        _, status = os.waitpid(pid, 0)
        said = log.read_text(encoding="utf-8", errors="replace")
        print(json.dumps([os.waitstatus_to_exitcode(status), said]), flush=True)


if __name__ == "__main__":
    main()
