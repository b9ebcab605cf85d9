"""Tries a platform: its private servers, and the quickstart on one of them.

    python -m pip install ".[cli,security,embedded]"
    python tests/platforms/quickstart.py

Continuous integration runs it on macOS and Windows; it needs no other test to work there.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from pymongo import MongoClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from waiting import wait_until

from datalayer.embedded import EmbeddedMongo
from datalayer.embedded.platforms import pausing_is_possible
from datalayer.errors import EmbeddedError

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWNER = """
import sys
from datalayer.embedded import EmbeddedMongo
server = EmbeddedMongo(timeout=60)
print(server.directory, flush=True)
sys.stdin.read()
"""


def main() -> None:
    told = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    print(told, flush=True)
    for trial in (members_die_hang_and_come_back, its_owner_is_killed, three_members, quickstart):
        began = monotonic()
        trial()
        print(f"ok: {trial.__name__} ({monotonic() - began:.1f} s)", flush=True)


def members_die_hang_and_come_back() -> None:
    with EmbeddedMongo(timeout=SECONDS) as server:
        with client_of(server) as client:
            version = client.server_info()["version"]
            client["test"]["things"].insert_one({"_id": 1})
        print(f"MongoDB {version} in {server.directory}", flush=True)
        server.kill(0)
        server.start(0)
        with client_of(server) as client:
            assert list(client["test"]["things"].find()) == [{"_id": 1}]
        if pausing_is_possible():
            server.pause(0)
            server.resume(0)
        else:
            with contextlib.suppress(EmbeddedError):
                server.pause(0)
                raise AssertionError("it can be paused after all")
        assert server.primary == 0
    assert not server.directory.exists()


def its_owner_is_killed() -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", OWNER], text=True, **pipes) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        assert directory.is_dir()
        owner.kill()
    wait_until(lambda: not directory.exists())


def three_members() -> None:
    with EmbeddedMongo(3, timeout=SECONDS) as servers:
        first = servers.primary
        servers.kill(first)
        assert servers.wait_for_primary(SECONDS) != first


def quickstart() -> None:
    with EmbeddedMongo(timeout=SECONDS) as server:
        os.environ["MONGODB_URI"] = server.uri_for("app")
        run_python("-c", "\n".join(blocks_of("docs/quickstart.md")))
        run_python("-m", "datalayer", "status")
        run_python("-m", "datalayer", "doctor")
    os.environ["MONGODB_URI"] = "embedded://app"
    run_python("-c", blocks_of("README.md")[0])


def blocks_of(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def run_python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, timeout=2 * SECONDS)


def client_of(server: EmbeddedMongo) -> MongoClient[dict[str, Any]]:
    return MongoClient(server.uri, serverSelectionTimeoutMS=1000 * SECONDS)


if __name__ == "__main__":
    main()
