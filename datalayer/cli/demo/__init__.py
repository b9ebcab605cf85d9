"""The demonstration behind ``datalayer demo``: two databases at work, with no set-up::

chapters   what happens, in which order, and what is told of it?
servers    where does it run?
data       which documents are loaded?
queries    what are the databases asked?
outage     how is analytics lost and got back?
screen     how does it look?
"""

from __future__ import annotations

import json as json_module
import sys
from time import perf_counter
from typing import IO, Any

from datalayer.cli.demo.chapters import play
from datalayer.cli.demo.screen import Screen
from datalayer.cli.demo.servers import on_private_servers, on_server

__all__ = ["run"]


def run(
    *,
    uri: str | None = None,
    scale: float = 1.0,
    seed: int = 2024,
    keep: bool = False,
    json: bool = False,
    output: IO[str] | None = None,
    messages: IO[str] | None = None,
) -> int:
    """Play the demo; returns the exit code, 0 when all went as it should and 1 otherwise.

    Runs on private servers that it starts, and ends, itself. It reads neither the environment
    nor ``.env``, so it can't touch a configured server. With ``uri`` it uses the databases
    ``datalayer_demo`` and ``datalayer_demo_analytics`` on that server, drops them at the end
    unless ``keep``, and leaves out the chapter that stops a server.

    ``scale`` multiplies the amount of data (1.0: about 24,000 documents), ``seed`` chooses it.
    The story, or with ``json`` one JSON summary, goes to ``output`` (default: standard output),
    progress to ``messages`` (default: standard error).

    Raises:
        ConfigurationError: for a bad ``uri``, databases there that hold other data, a process
            that is connected already, or when the extra ``demo`` is not installed.
        EmbeddedError: when no private server can be started.
        ConnectError: when the server of ``uri`` can't be reached.
    """
    started = perf_counter()
    output, messages = output or sys.stdout, messages or sys.stderr
    screen = Screen(None if json else output)
    screen.heading("datalayer: two databases behind one facade")
    if uri is None:
        screen.say("Starting two private MongoDB servers, one for each database ...")
    with on_private_servers() if uri is None else on_server(uri, keep=keep) as servers:
        summary = play(servers, screen, scale=scale, seed=seed, messages=messages)
    summary = {"ok": _all_went_well(summary), **summary}
    summary["seconds"] = round(perf_counter() - started, 2)
    screen.heading("6. Shut down")
    screen.say(_farewell(summary, uri, keep))
    if json:
        output.write(json_module.dumps(summary, indent=2) + "\n")
    return 0 if summary["ok"] else 1


def _all_went_well(summary: dict[str, Any]) -> bool:
    healthy = all(one["connected"] for one in summary["status"].values())
    indexed = all(one["index"] != "none" for one in summary["queries"])
    outage = summary["outage"]
    survived = outage is None or (
        outage["down"]["failed"] == 0 and outage["rejoined_seconds"] is not None
    )
    return healthy and indexed and survived


def _farewell(summary: dict[str, Any], uri: str | None, keep: bool) -> str:
    if uri is None:
        left = "both servers stopped, no process or file left"
    else:
        left = "the demo's databases are kept" if keep else "the demo's databases are dropped"
    return f"Both databases disconnected, {left}. Took {summary['seconds']:.1f} s."
