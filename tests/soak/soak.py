"""Half an hour of mixed load with kills, stops, cuts and forks, and the accounts at its end.

    python tests/soak/soak.py [--minutes N] [--seed N] [--json FILE]

Business data live on three members that are killed, stopped and stepped down; analytics data on
a server behind a network that is cut, hangs and refuses. The seed decides on the faults, and is
drawn and told where none is given. Exit code 1 when an acknowledged write is lost, something is
written twice or although the call said that it wasn't, an error is raised that no outage
explains, a call outlasts its deadline, or memory, threads or open files grow.

On a machine that is busy with other things everything takes longer. A call is late only by the
time in which it could have ended: without that in which a thread that only sleeps is late, too.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import platform
import random
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from accounts import Account, Balance, balance
from chaos import Chaos
from faulty_proxy import FaultyProxy
from load import MONEY, PURSES, SLACK_SECONDS, Click, Load, Purse, Sale, Tally
from scheduling import Scheduling

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.outbox.entries import OUTBOX

ELECTION_SECONDS = 120.0  # while others take the processors, too
STALLED_SECONDS = 120.0
SAMPLE_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    minutes = float(os.environ.get("DATALAYER_SOAK_MINUTES", "30"))
    parser.add_argument("--minutes", type=float, default=minutes, help="how long (30)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", type=Path, help="write the report to this file")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    logging.getLogger("datalayer").setLevel(logging.CRITICAL)
    with (
        EmbeddedMongo(3, timeout=ELECTION_SECONDS) as servers,
        EmbeddedMongo(timeout=ELECTION_SECONDS) as other,
        FaultyProxy(other.hosts[0]) as network,
    ):
        uris = {
            "default": servers.uri_for("soak"),
            "database1": network.uri_for("soak1") + "&heartbeatFrequencyMS=1000",
        }
        with db.connected(Settings(databases=uris)):
            report = {
                "seed": options.seed,
                "minutes": options.minutes,
                "versions": versions(),
                **soak(servers, network, options.minutes * 60, options.seed),
            }
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    for violation in report["violations"]:
        print(f"FAILED: {violation}")
    end = "failed" if report["violations"] else "clean"
    print(f"{end}: --seed {options.seed} --minutes {options.minutes:g}, {report['versions']}")
    return 1 if report["violations"] else 0


def versions() -> dict[str, str | None]:
    """What was tested, on what."""
    return {
        "datalayer": version("mongoengine-datalayer"),
        "commit": commit(),
        "mongoengine": version("mongoengine"),
        "pymongo": version("pymongo"),
        "server": db.status()["default"]["server_version"],
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """The commit that is checked out, with a plus where files were changed since."""
    words = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(
        words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def soak(
    servers: EmbeddedMongo, network: FaultyProxy, seconds: float, seed: int
) -> dict[str, Any]:
    """Run the load under faults, then settle the accounts."""
    scheduling = Scheduling()
    load, chaos = Load(scheduling), Chaos(servers, network, seed)
    load.prepare()
    scheduling.start()
    load.start()
    db.outbox.start(interval_seconds=0.2)
    chaos.start()
    samples: list[dict[str, float]] = []
    hangs = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(min(SAMPLE_SECONDS, max(ends - time.monotonic(), 0)))
        samples.append(sample())
        hangs += load.overrunning() > SLACK_SECONDS
        if len(samples) % 12 == 0:
            print(f"{sum(load.calls.values()):,} calls, {dict(chaos.done)}", flush=True)
    chaos.stop()
    alive = load.stop(STALLED_SECONDS)
    scheduling.stop()
    return settled(load, chaos, samples, hangs, alive)


def sample() -> dict[str, float]:
    """Memory in MiB, threads and open files of this process, and its connections to servers. How
    many of them there are changes with the primary: the files are counted without them."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    pools = [db.get(alias).status_unasked(None)["pool"] for alias in ("default", "database1")]
    connections = sum(pool["open"] for pool in pools)
    return {
        "memory_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")) - connections,
        "connections": connections,
    }


def connections_allowed() -> int:
    """How many connections the pools of all members may hold together."""
    statuses = [db.get(alias).status_unasked(None) for alias in ("default", "database1")]
    return sum(each["pool"]["max_size"] * len(each["members"]) for each in statuses)


def settled(
    load: Load, chaos: Chaos, samples: list[dict[str, float]], hangs: int, alive: list[str]
) -> dict[str, Any]:
    """The report: what was done, and every violation."""
    undelivered = deliver_the_rest()
    accounts = {
        **{account.name: settle(account, Sale) for account in (*load.sales, load.children)},
        **{account.name: settle(account, Click) for account in (*load.clicks, load.told)},
    }
    value = Tally.objects.get(pk="0" * 24).value
    money = Purse.objects.sum("balance")
    most, allowed = max(each["connections"] for each in samples), connections_allowed()
    growth = {name: grown(samples, name) for name in samples[0]}
    beyond = {kind: s for kind, s in rounded(load.overruns).items() if s > SLACK_SECONDS}
    violations = [
        *(each for name, account in accounts.items() for each in account.violations(name)),
        *undelivered,
        *([f"calls beyond their deadline, seconds: {beyond}"] if beyond else []),
        *([f"{hangs} samples saw a call beyond its deadline"] if hangs else []),
        *([f"threads that don't end: {alive}"] if alive else []),
        *([f"faults ended early: {chaos.failure}"] if chaos.failure else []),
        *([f"{load.bad_children} forked children failed"] if load.bad_children else []),
        *load.unexpected[:20],
        *([f"memory grew by {growth['memory_mib']:.1f} MiB"] if growth["memory_mib"] > 10 else []),
        *([f"threads grew by {growth['threads']}"] if growth["threads"] > 2 else []),
        *([f"open files grew by {growth['files']}"] if growth["files"] > 5 else []),
        *([f"{most} connections, more than the pools may hold"] if most > allowed else []),
    ]
    if not load.counted <= value <= load.counted + load.count_unknown:
        violations.append(f"counted {load.counted} (+{load.count_unknown} unknown), found {value}")
    if money != PURSES * MONEY:
        violations.append(f"the purses hold {money} instead of {PURSES * MONEY}")
    return {
        "calls": dict(load.calls),
        "faults": dict(chaos.done),
        "errors": dict(load.errors),
        "longest_seconds": rounded(load.longest),
        "past_deadline_seconds": rounded(load.overruns),
        "acknowledged": sum(account.acknowledged for account in accounts.values()),
        "unknown_outcomes": sum(a.unknown for a in accounts.values()) + load.count_unknown,
        "scheduling": {
            "worst_wait_seconds": round(load.scheduling.worst, 3),
            "total_wait_seconds": round(load.scheduling.total, 1),
            "load_average": os.getloadavg(),
        },
        "growth_second_to_last_quarter": growth,
        "last_sample": samples[-1],
        "violations": violations,
    }


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """For reading."""
    return {kind: round(each, 2) for kind, each in seconds.items()}


def deliver_the_rest() -> list[str]:
    """Wait for what is still in the outbox as long as it becomes less, at least once in two
    minutes: a killed transaction may hold it up for a minute. Returns what is wrong then."""
    outbox = registry.connection().database[OUTBOX]
    least = waiting = outbox.count_documents({})
    ends = time.monotonic() + STALLED_SECONDS
    while waiting and time.monotonic() < ends:
        time.sleep(0.2)
        waiting = outbox.count_documents({})
        if waiting < least:
            least, ends = waiting, time.monotonic() + STALLED_SECONDS
    db.outbox.stop()
    waiting = outbox.count_documents({})
    told = db.outbox.waiting().entries
    ids = [each["_id"] for each in outbox.find({}, {"_id": 1}).limit(5)]
    return [
        *([f"{waiting} entries are still in the outbox, the first {ids}"] if waiting else []),
        *([f"the outbox tells of {told} entries, and has {waiting}"] if told != waiting else []),
    ]


def settle(account: Account, model: type[Sale | Click]) -> Balance:
    """What is there of a writer's documents, against what it knows."""
    found = model._get_collection().find({"writer": account.name}, {"number": 1})
    return balance(account, (each["number"] for each in found))


def grown(samples: list[dict[str, float]], name: str) -> float:
    """How much the last quarter's median is above the second quarter's."""
    quarter = max(len(samples) // 4, 1)
    before = median(each[name] for each in samples[quarter : 2 * quarter] or samples)
    return round(median(each[name] for each in samples[-quarter:]) - before, 1)


if __name__ == "__main__":
    sys.exit(main())
