"""The process that starts the members of one ``EmbeddedMongo`` and cleans up after them.

It runs as a script (``guardian.py DIRECTORY OWNER_PID``) and speaks JSON lines over a socket on
standard input. When the owner shuts the socket down or dies, whatever the reason, it kills the
members and removes the directory.
"""

# Why a process of its own: only that outlives an owner that gets SIGKILL. Being the members'
# parent, it never signals a process id that meanwhile belongs to something else. A session of its
# own keeps Ctrl-C away. The owner's death shows as a new parent, even while a forked child of the
# owner still holds a copy of the socket.

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

LOOK_AFTER_OWNER_SECONDS = 0.5
DEATH_SECONDS = 10.0
STOP_POLL_SECONDS = 0.001

Members = dict[int, "subprocess.Popen[bytes]"]


def main(directory: str, owner: int) -> None:
    """Serve the owner until it is gone, then leave nothing behind."""
    channel = socket.socket(fileno=0)
    channel.settimeout(LOOK_AFTER_OWNER_SECONDS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    members: Members = {}
    os.mkdir(directory, 0o700)
    try:
        channel.sendall(b"{}\n")  # the directory is there
        for request in requests(channel, owner):
            channel.sendall(json.dumps(answer(members, **request)).encode() + b"\n")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for process in members.values():
            send_signal(process, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


def requests(channel: socket.socket, owner: int) -> Iterator[dict[str, Any]]:
    """What the owner asks for, until it shuts the socket down or dies."""
    waiting = b""
    while os.getppid() == owner:
        try:
            data = channel.recv(65536)
        except TimeoutError:
            continue
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        yield from map(json.loads, lines)


def answer(members: Members, verb: str, member: int, **details: Any) -> dict[str, Any]:
    """Do one thing with one member; tells its process id, and its exit code if it has ended."""
    if verb == "start":
        try:
            members[member] = start(**details)
        except OSError as exc:
            return {"error": exc.strerror or str(exc)}
    elif verb == "signal":
        send_signal(members[member], details["number"])
    return {"pid": members[member].pid, "exit_code": members[member].poll()}


def start(command: list[str], log: str) -> subprocess.Popen[bytes]:
    """Start a member that writes everything it says to the file ``log``."""
    with open(log, "wb") as said:
        return subprocess.Popen(  # noqa: S603 - the owner's own command, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=os.path.dirname(log),
            process_group=0,  # so that a wrapper script's mongod gets the signals too
            # Safe here: the guardian has one thread.
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )


def die_with_parent() -> None:
    """Have the kernel end this process when the guardian itself is killed."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def send_signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal a member that still runs; wait until SIGKILL or SIGSTOP has done its work."""
    if process.poll() is None:
        os.killpg(process.pid, number)
        if number == signal.SIGKILL:
            process.wait(DEATH_SECONDS)
        elif number == signal.SIGSTOP:
            wait_until_stopped(process)


def wait_until_stopped(process: subprocess.Popen[bytes]) -> None:
    """On a busy machine, threads of it may run for some 20 ms after they were told to stop."""
    stopped_or_ended = os.WSTOPPED | os.WEXITED
    ends = monotonic() + DEATH_SECONDS
    # WNOWAIT leaves its end for poll() to find.
    while not os.waitid(os.P_PID, process.pid, stopped_or_ended | os.WNOWAIT | os.WNOHANG):
        if monotonic() >= ends:
            return
        sleep(STOP_POLL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
