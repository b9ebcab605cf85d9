"""Records events as fast as it can, or some, with the settings of its environment.

recording.py load [MODEL] | some NUMBER [FIRST] | fork NUMBER | wait
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recorder"))

import recorded_events
from recorded_events import Click

from datalayer import db, recorder


def under_load(name: str = "Click") -> None:
    """Until it is killed; tells each 20 ms how many events were recorded, and when."""
    model = getattr(recorded_events, name)
    number, told = 0, monotonic()
    while True:
        for _ in range(20):
            recorder.record({"number": number, "pid": os.getpid(), "at": datetime.now(UTC)}, model)
            number += 1
        sleep(0.0005)
        if monotonic() - told > 0.02:
            told = monotonic()
            print(number, told, flush=True)


def some(count: str, first: str = "0") -> None:
    for number in range(int(first), int(first) + int(count)):
        recorder.record({"number": number, "pid": os.getpid()}, Click)


def fork(count: str) -> None:
    """The parent and three children record, before and after the forks."""
    some(count)
    children = []
    for n in range(1, 4):
        child = os.fork()
        if not child:
            some(count, str(n * 1000))
            return
        children.append(child)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    some(count, "4000")


def wait() -> None:
    """Until the parent closes its end: what others left is delivered meanwhile."""
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] != "some" or len(sys.argv) < 5:
        db.connect_all()
    {"load": under_load, "some": some, "fork": fork, "wait": wait}[sys.argv[1]](*sys.argv[2:4])
