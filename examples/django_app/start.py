"""Starts the example: a private MongoDB server unless ``MONGODB_URI`` names one, a few
neighbours to look at, and Django's development server.

    python start.py [ADDRESS:PORT]
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
ADDRESS = "127.0.0.1:8000"
STOP_SECONDS = 10


def main(address: str) -> int:
    with ExitStack() as at_the_end:
        if not os.environ.get("MONGODB_URI"):
            from datalayer.embedded import EmbeddedMongo

            # In this process rather than as embedded://neighbours in the settings: the server
            # outlives the restarts of runserver, which come with every change of the code.
            server = at_the_end.enter_context(EmbeddedMongo(journal=False))
            os.environ["MONGODB_URI"] = server.uri_for("neighbours")
            os.environ["DATABASE1_URI"] = server.uri_for("neighbours_analytics")
        token = os.environ.setdefault("DATALAYER_STATUS_TOKEN", secrets.token_urlsafe(24))
        documents = ["datalayer_migrations", "apply", "--yes"]
        for words in (documents, ["fill"]):
            subprocess.run([sys.executable, "manage.py", *words], cwd=HERE, check=True)  # noqa: S603 - our own words
        print(f"\nthe application   http://{address}/   (ada@example.org, password: neighbour)")
        print(f"the status page   http://{address}/status   (any name, password: {token})\n")
        sys.stdout.flush()
        return serve(address)


def serve(address: str) -> int:
    """Run Django's development server until Ctrl-C or SIGTERM, and see it end."""

    def end(_number: int, _frame: object) -> None:
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)
    command = [sys.executable, "manage.py", "runserver", address]
    process = subprocess.Popen(command, cwd=HERE)  # noqa: S603 - our own words
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        process.terminate()  # its reloader passes that on
        process.wait(STOP_SECONDS)


def asked_for() -> str:
    """The address from the command line."""
    parser = argparse.ArgumentParser(description="Starts the example, until Ctrl-C.")
    parser.add_argument("address", nargs="?", default=ADDRESS, metavar="ADDRESS:PORT")
    return str(parser.parse_args().address)


if __name__ == "__main__":
    sys.exit(main(asked_for()))
