"""The process that starts the members of one ``EmbeddedMongo`` and cleans up after them.

It runs as a script (``guardian.py DIRECTORY OWNER_PID``) and speaks JSON lines over a socket that
it gets through standard input. When the owner shuts the socket down or dies, whatever the reason,
it kills the members and removes the directory.
"""

# Why a process of its own: only that outlives an owner that gets SIGKILL. Being the members'
# parent, it never signals a process id that meanwhile belongs to something else. A session of its
# own keeps Ctrl-C away. The owner's death shows as a new parent, even while a forked child of the
# owner still holds a copy of the socket; on Windows, where nothing forks, as the socket's end.

from __future__ import annotations

import contextlib
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
POLL_SECONDS = 0.001
OPEN_FILES = 64_000  # what MongoDB's production notes ask for ("Recommended ulimit Settings")
# Of subprocess, which has the names on Windows alone.
CREATE_NEW_PROCESS_GROUP = 0x00000200
CREATE_NO_WINDOW = 0x08000000

Members = dict[int, "subprocess.Popen[bytes]"]


def main(directory: str, owner: int) -> None:
    """Serve the owner until it is gone, then leave nothing behind."""
    allow_open_files()
    channel = channel_of_stdin()
    channel.settimeout(LOOK_AFTER_OWNER_SECONDS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    members: Members = {}
    os.mkdir(directory, 0o700)
    try:
        channel.sendall(b"{}\n")  # the directory is there
        for request in requests(channel, owner):
            channel.sendall(json.dumps(answer(members, **request)).encode() + b"\n")
    except ConnectionError:
        pass  # the owner is gone
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for process in members.values():
            send_signal(process, "kill")
        remove(directory)


def allow_open_files() -> None:
    """Let the members have many files open, as far as the system lets this user.

    Each collection and each index is one, and a server that may open no more ends. Login shells
    allow 1,024, however many may be asked for.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):  # macOS has another limit beside it
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def channel_of_stdin() -> socket.socket:
    """The socket to the owner: standard input itself, or what Windows needs to make it of."""
    if sys.platform == "win32":
        return socket.fromshare(sys.stdin.buffer.read())
    return socket.socket(fileno=0)


def requests(channel: socket.socket, owner: int) -> Iterator[dict[str, Any]]:
    """What the owner asks for, until it shuts the socket down or dies."""
    waiting = b""
    while sys.platform == "win32" or os.getppid() == owner:
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
    elif verb != "look":
        send_signal(members[member], verb)
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
            **start_options(),
        )


def start_options(platform: str = sys.platform) -> dict[str, Any]:
    """What keeps a member apart from the guardian's own signals, and from outliving it."""
    if platform == "win32":
        return {"creationflags": CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW}
    options: dict[str, Any] = {"process_group": 0}  # a wrapper script's mongod gets signals too
    if platform == "linux":
        options["preexec_fn"] = die_with_parent  # safe here: the guardian has one thread
    return options


def die_with_parent() -> None:
    """Have the kernel end this process when the guardian itself is killed."""
    import ctypes

    pr_set_pdeathsig, sigkill = 1, 9  # Linux's numbers
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)


def send_signal(process: subprocess.Popen[bytes], verb: str) -> None:
    """Kill, pause or resume a member that still runs; wait until it is dead or stands still."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        if verb == "kill":  # nothing else can be done there
            process.kill()
            process.wait(DEATH_SECONDS)
    else:
        signals = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "resume": signal.SIGCONT}
        os.killpg(process.pid, signals[verb])
        if verb == "kill":
            process.wait(DEATH_SECONDS)
        elif verb == "pause":
            wait_until_stopped(process)


if sys.platform != "win32":

    def wait_until_stopped(process: subprocess.Popen[bytes]) -> None:
        """On a busy machine, threads of it may run for some 20 ms after they were told to stop."""
        ends = monotonic() + DEATH_SECONDS
        while monotonic() < ends:
            # Not waitid(), which macOS has since Python 3.13 only.
            found, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
            if found:
                if not os.WIFSTOPPED(status):  # it has ended instead; nobody else learns how
                    process.returncode = os.waitstatus_to_exitcode(status)
                return
            sleep(POLL_SECONDS)


def remove(directory: str) -> None:
    """Remove the directory; Windows, or what scans files there, may hold some for a moment."""
    ends = monotonic() + DEATH_SECONDS
    shutil.rmtree(directory, ignore_errors=True)
    while os.path.exists(directory) and monotonic() < ends:
        sleep(POLL_SECONDS * 100)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
