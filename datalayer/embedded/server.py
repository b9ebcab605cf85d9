"""A private replica set of real servers that leaves nothing behind."""

from __future__ import annotations

import atexit
import base64
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any
from urllib.parse import quote_plus

from datalayer.embedded.binary import find_mongod
from datalayer.embedded.member import Member, wait_until
from datalayer.embedded.platforms import server_options
from datalayer.embedded.processes import Processes
from datalayer.embedded.wire import LOOPBACK, command
from datalayer.errors import EmbeddedError
from datalayer.failures.tracebacks import takes_secrets

_ELECTION_TIMEOUT_MS = 1000
# 20 MB of files a member instead of 300: journal files small and not made in advance.
_SMALL = (
    *("--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"),
    *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=20MB)"),
)
_FORGETFUL = {"minSnapshotHistoryWindowInSeconds": 30}
_RARELY_TO_THE_JOURNAL = ("--journalCommitInterval", "500")  # milliseconds; no more are allowed


class EmbeddedMongo:
    """A real ``mongod`` of this process's own: a replica set of one member, or of several.

    The servers start with the object, listen on 127.0.0.1 only, and take transactions. They and
    their files are gone after ``stop()``, at the end of a ``with`` block, when the interpreter
    ends, and a second after the process was killed. A forked child can connect to them; it
    can't manage or stop them. On Windows nothing can be paused.

    Arguments:
        members: the number of servers. With three, an election takes one to three seconds.
        parameters: server parameters, as ``--setParameter`` takes them.
        test_commands: allow ``failCommand`` and the other test commands of MongoDB.
        auth: user name and password of a ``root`` user; switches access control on.
        in_memory: keep the files in ``/dev/shm`` where there is one (Linux) that has 512 MB to
            spare; otherwise, and without it, they are in the temporary directory (``TMPDIR``).
            Such a server keeps its past for 30 seconds rather than 300, unless ``parameters``
            say otherwise: until then the files of dropped collections stay open, of which tests
            make thousands.
        journal: a majority confirms a write when its journal holds it, as on any server. With
            ``False`` it does when it has the write: what makes and empties many collections, as
            tests do, takes half the time, and a member that is killed may lose the last half
            second. What asks for ``journal=true`` waits for it all the same.
        mongod: the program to run, instead of the one that is found through
            ``DATALAYER_MONGOD``, ``PATH`` or the wheel of the extra ``[embedded]``.
        timeout: the seconds that starting, restarting and electing may each take.

    Raises:
        EmbeddedError: when there is no mongod or it does not start, and why.
    """

    @takes_secrets
    def __init__(
        self,
        members: int = 1,
        *,
        parameters: Mapping[str, str | int | bool] | None = None,
        test_commands: bool = False,
        auth: tuple[str, str] | None = None,
        in_memory: bool = False,
        journal: bool = True,
        mongod: str | Path | None = None,
        timeout: float = 30.0,
    ) -> None:
        if members < 1:
            raise ValueError(f"a replica set has at least one member, not {members!r}")
        program = Path(mongod).absolute() if mongod else find_mongod()
        self._auth = None if auth is None else lambda: auth  # shown by nothing
        self._timeout = timeout
        self._journal = journal
        # A name of its own, so that a client left over from an earlier set on this port does
        # not take this one for its own.
        self._name = f"datalayer-{secrets.token_hex(4)}"
        self._processes = Processes(in_memory=in_memory)
        atexit.register(self.stop)
        try:
            options = [str(program), "--bind_ip", LOOPBACK, *server_options(), *_SMALL]
            options += ["--replSet", self._name, *self._key_file_option()]
            options += () if journal else _RARELY_TO_THE_JOURNAL
            forgetful = _FORGETFUL if in_memory else {}
            options += _parameter_options({**forgetful, **(parameters or {})}, test_commands)
            self._members = [Member(each, self._processes, options) for each in range(members)]
            self._launch()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> EmbeddedMongo:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EmbeddedMongo {','.join(self.hosts)}>"

    # Where it is

    @property
    def uri(self) -> str:
        """The URI of the replica set. With ``auth`` it holds the password: don't log it."""
        return self.uri_for("")

    def uri_for(self, database: str) -> str:
        """The URI of the replica set that names ``database``."""
        return self._uri(",".join(self.hosts), database, f"replicaSet={self._name}")

    def member_uri(self, member: int, database: str = "") -> str:
        """The URI of one member alone, primary or not (``directConnection``)."""
        return self._uri(self.hosts[member], database, "directConnection=true")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The members' addresses, ``host:port``."""
        return tuple(member.host for member in self._members)

    @property
    def directory(self) -> Path:
        """Where the members' data and logs are, until ``stop``."""
        return self._processes.directory

    def pid(self, member: int) -> int:
        """The process id of a member."""
        return self._members[member].pid

    # Life and death of the members

    def stop(self) -> None:
        """End the servers, paused ones too, and remove their files. Idempotent."""
        atexit.unregister(self.stop)
        self._processes.close()

    def kill(self, member: int) -> None:
        """End a member as a crash would (SIGKILL). Its data stay; ``start`` brings it back."""
        self._members[member].kill()

    def pause(self, member: int) -> None:
        """Let a member hang (SIGSTOP): its connections stay open and nothing answers.

        Returns when it stands still.

        Raises:
            EmbeddedError: on Windows, which can't.
        """
        self._members[member].pause()

    def resume(self, member: int) -> None:
        """Let a paused member go on. Returns at once; does nothing to one that runs."""
        self._members[member].resume()

    def start(self, member: int | None = None) -> None:
        """Bring back a killed or paused member, or all of them, with their ports and data.

        Returns when they are healthy members again: primary or secondary.

        Raises:
            EmbeddedError: when that doesn't happen in time.
        """
        chosen = self._members if member is None else [self._members[member]]
        deadline = monotonic() + self._timeout
        for each in chosen:
            each.run()
        for each in chosen:
            each.wait_until_listening(deadline)
        self._wait_until_healthy(chosen, deadline)

    # The primary

    @property
    def primary(self) -> int:
        """Which member is the primary now; waits for an election that is under way."""
        return self.wait_for_primary()

    def wait_for_primary(self, timeout: float | None = None) -> int:
        """Wait until there is a primary, at most ``timeout`` seconds; returns which it is.

        Raises:
            EmbeddedError: when none is elected in time. That takes a majority of the members.
        """
        timeout = self._timeout if timeout is None else timeout
        claims: list[tuple[Any, int]] = []

        def somebody_claims_it() -> bool:
            for member in self._members:
                hello = member.hello()
                if hello.get("isWritablePrimary"):
                    claims.append((hello["electionId"], member.number))
            return bool(claims)

        if not wait_until(somebody_claims_it, monotonic() + timeout):
            raise EmbeddedError(
                f"no primary was elected within {timeout:g} s; "
                f"a majority of the {len(self._members)} members has to run"
            )
        # One that was paused may not know yet that it was replaced; its election is older.
        return max(claims)[1]

    # Inside

    def _launch(self) -> None:
        deadline = monotonic() + self._timeout
        for member in self._members:
            member.run()
        for member in self._members:
            member.wait_until_listening(deadline, may_move=True)
        self._command(
            self._members[0],
            {
                "replSetInitiate": {
                    "_id": self._name,
                    "members": [{"_id": each.number, "host": each.host} for each in self._members],
                    "settings": {"electionTimeoutMillis": _ELECTION_TIMEOUT_MS},
                    "writeConcernMajorityJournalDefault": self._journal,
                }
            },
        )
        self._wait_until_healthy(self._members, deadline)
        primary = self.wait_for_primary(max(0.0, deadline - monotonic()))
        if self._auth:
            # MongoDB lets the first user be made from the same machine without logging in.
            user, password = self._auth()
            self._command(
                self._members[primary], {"createUser": user, "pwd": password, "roles": ["root"]}
            )

    def _wait_until_healthy(self, members: list[Member], deadline: float) -> None:
        for member in members:
            if not wait_until(partial(self._is_healthy, member), deadline):
                raise member.failure("did not become a healthy member in time")

    def _is_healthy(self, member: Member) -> bool:
        hello = member.hello()
        if hello.get("setName") != self._name:
            return False
        alone = len(self._members) == 1
        return bool(hello["isWritablePrimary"] or (hello["secondary"] and not alone))

    def _command(self, member: Member, body: dict[str, Any]) -> None:
        try:
            answer = command(member.port, body, self._timeout)
        except OSError as exc:
            raise member.failure("did not answer") from exc
        if not answer["ok"]:
            raise EmbeddedError(
                f"the embedded mongod at {member.host} refused {next(iter(body))}: "
                f"{answer.get('errmsg')}"
            )

    def _key_file_option(self) -> list[str]:
        if not self._auth:
            return []
        path = self.directory / "key"
        path.touch(mode=0o600)
        path.write_bytes(base64.b64encode(secrets.token_bytes(96)))
        return ["--keyFile", str(path)]

    def _uri(self, hosts: str, database: str, option: str) -> str:
        if not self._auth:
            return f"mongodb://{hosts}/{database}?{option}"
        user, password = map(quote_plus, self._auth())
        return f"mongodb://{user}:{password}@{hosts}/{database}?{option}&authSource=admin"


def _parameter_options(
    parameters: Mapping[str, str | int | bool], test_commands: bool
) -> list[str]:
    wanted = {"diagnosticDataCollectionEnabled": False, **parameters}
    if test_commands:
        wanted["enableTestCommands"] = True
    options = []
    for name, value in wanted.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        options += ["--setParameter", f"{name}={shown}"]
    return options
