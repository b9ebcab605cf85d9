"""Carries out orders, each in a child that may be killed, and tells how each has ended: for
programs that a test starts, and writes a line of JSON to for each order."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def answer_orders(work: Callable[[Any], object], read: Callable[[str], object]) -> None:
    """For each order, write a line of JSON: what ``read`` makes of what ``work`` returned as text;
    ``null`` where its process was killed, and ``"failed"`` where it ended in another way."""
    for line in sys.stdin:
        answers, to_parent = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(to_parent, str(work(json.loads(line))).encode())
            os._exit(0)
        os.close(to_parent)
        with os.fdopen(answers) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        answer = None if killed else read(said) if said else "failed"
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
