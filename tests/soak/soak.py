"""Half an hour of mixed load with kills, stops, cuts and forks, and the accounts at its end.

    python tests/soak/soak.py [--minutes N] [--seed N] [--json FILE]

Business data live on three members that are killed, stopped and stepped down; analytics data on
a server behind a network that is cut, hangs and refuses. Exit code 1 when an acknowledged write
is lost, something is written twice, a call outlasts its deadline, or memory, threads or open
files grow.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos import Chaos
from faulty_proxy import FaultyProxy
from load import MONEY, PURSES, Account, Click, Load, Purse, Sale, Tally

from datalayer import Settings, db
from datalayer.embedded import EmbeddedMongo

LONGEST_CALL_SECONDS = 20 + 0.5 + 1.0
"""The default deadline of an operation, the bound on overrunning it, and the scheduler's share on
a machine whose processors the servers, the load and the faults share."""
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
        EmbeddedMongo(3) as servers,
        EmbeddedMongo() as other,
        FaultyProxy(other.hosts[0]) as network,
    ):
        uris = {
            "default": servers.uri_for("soak"),
            "database1": network.uri_for("soak1") + "&heartbeatFrequencyMS=1000",
        }
        with db.connected(Settings(databases=uris)):
            report = soak(servers, network, options.minutes * 60, options.seed)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    return 1 if report["violations"] else 0


def soak(
    servers: EmbeddedMongo, network: FaultyProxy, seconds: float, seed: int
) -> dict[str, Any]:
    """Run the load under faults, then settle the accounts."""
    load, chaos = Load(), Chaos(servers, network, seed)
    load.prepare()
    load.start()
    db.outbox.start(interval_seconds=0.2)
    chaos.start()
    samples: list[dict[str, float]] = []
    hangs = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(min(SAMPLE_SECONDS, max(ends - time.monotonic(), 0)))
        samples.append(sample())
        hangs += load.under_way() > LONGEST_CALL_SECONDS
        if len(samples) % 12 == 0:
            print(f"{sum(load.calls.values()):,} calls, {dict(chaos.done)}", flush=True)
    chaos.stop()
    alive = load.stop(60)
    return settled(load, chaos, samples, hangs, alive)


def sample() -> dict[str, float]:
    """Memory in MiB, threads and open files of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
    }


def settled(
    load: Load, chaos: Chaos, samples: list[dict[str, float]], hangs: int, alive: list[str]
) -> dict[str, Any]:
    """The report: what was done, and every violation."""
    deliver_the_rest()
    accounts = [
        *(checked(account, Sale) for account in load.sales),
        *(checked(account, Click) for account in load.clicks),
        checked(load.told, Click),
    ]
    lost = sum(account["lost"] for account in accounts)
    doubled = sum(account["doubled"] for account in accounts)
    value = Tally.objects.get(pk="0" * 24).value
    money = Purse.objects.sum("balance")
    growth = {name: grown(samples, name) for name in samples[0]}
    violations = [
        *([f"{lost} acknowledged writes are lost"] if lost else []),
        *([f"{doubled} documents are there twice"] if doubled else []),
        *([f"{hangs} samples saw a call beyond its deadline"] if hangs else []),
        *([f"threads that don't end: {alive}"] if alive else []),
        *([f"faults ended early: {chaos.failure}"] if chaos.failure else []),
        *([f"{load.bad_children} forked children failed"] if load.bad_children else []),
        *(load.unexpected[:20]),
        *([f"memory grew by {growth['memory_mib']:.1f} MiB"] if growth["memory_mib"] > 10 else []),
        *([f"threads grew by {growth['threads']}"] if growth["threads"] > 2 else []),
        *([f"open files grew by {growth['files']}"] if growth["files"] > 5 else []),
    ]
    if not load.counted <= value <= load.counted + load.count_unknown:
        violations.append(f"counted {load.counted} (+{load.count_unknown} unknown), found {value}")
    if money != PURSES * MONEY:
        violations.append(f"the purses hold {money} instead of {PURSES * MONEY}")
    longest = {kind: round(seconds, 2) for kind, seconds in load.longest.items()}
    beyond = {k: v for k, v in longest.items() if v > LONGEST_CALL_SECONDS}
    if beyond:
        violations.append(f"calls beyond their deadline: {beyond}")
    return {
        "calls": dict(load.calls),
        "faults": dict(chaos.done),
        "errors": dict(load.errors),
        "longest_seconds": longest,
        "acknowledged": sum(account["acknowledged"] for account in accounts),
        "unknown_outcomes": sum(account["unknown"] for account in accounts) + load.count_unknown,
        "growth_second_to_last_quarter": growth,
        "last_sample": samples[-1],
        "violations": violations,
    }


def deliver_the_rest() -> None:
    """What is still in the outbox; a killed transaction may hold it up for a minute."""
    ends = time.monotonic() + 120
    while db.outbox.waiting().entries and time.monotonic() < ends:
        time.sleep(0.2)
    db.outbox.stop()


def checked(account: Account, model: type[Sale | Click]) -> dict[str, int]:
    """What is there of a writer's documents, against what it knows."""
    found = model._get_collection().find({"writer": account.name}, {"number": 1})
    there = Counter(each["number"] for each in found)
    acknowledged = [number for number, known in enumerate(account.acknowledged) if known]
    return {
        "acknowledged": len(acknowledged),
        "unknown": len(account.unknown),
        "lost": sum(1 for number in acknowledged if not there[number]),
        "doubled": sum(1 for times in there.values() if times > 1),
    }


def grown(samples: list[dict[str, float]], name: str) -> float:
    """How much the last quarter's median is above the second quarter's."""
    quarter = max(len(samples) // 4, 1)
    before = median(each[name] for each in samples[quarter : 2 * quarter] or samples)
    return round(median(each[name] for each in samples[-quarter:]) - before, 1)


if __name__ == "__main__":
    sys.exit(main())
