"""Reads from a change stream which documents of the source have changed, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from bson import Timestamp
from pymongo.change_stream import ChangeStream

from datalayer.errors import TransferError
from datalayer.transfer.codecs import RAW
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.plan import Plan
from datalayer.transfer.raw.bson import exactly, key_of

_OF_DOCUMENTS = frozenset({"insert", "update", "replace", "delete"})
_AT_ONCE = 1000
_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Changes:
    """Changes that follow each other: the ids of what has changed, by part, each once."""

    ids: Mapping[int, list[Any]]
    time: Timestamp
    """When the last of them happened."""
    token: Mapping[str, Any]
    """Where to go on behind them."""

    @property
    def count(self) -> int:
        """Of documents."""
        return sum(map(len, self.ids.values()))


class ChangeReader:
    """Reads what changes in the source's collections of one plan."""

    def __init__(self, stream: ChangeStream[dict[str, Any]], origin: Endpoint, plan: Plan) -> None:
        self._stream = stream
        self._origin = origin
        self._plan = plan
        self._numbers = {part.source: number for number, part in enumerate(plan.parts)}

    @classmethod
    @contextmanager
    def since(
        cls, origin: Endpoint, plan: Plan, start: Timestamp, token: Mapping[str, Any] | None
    ) -> Iterator[ChangeReader]:
        """The changes behind ``token``, or since ``start``, in a ``with`` block."""
        where: dict[str, Any] = (
            {"start_at_operation_time": start} if token is None else {"resume_after": token}
        )
        with _stream(origin, plan, **where) as stream:
            yield cls(stream, origin, plan)

    def read(self, most: int) -> Changes | None:
        """What has changed since the call before, of at most ``most`` documents.

        Waits a fifth of a second for something to happen; ``None`` where nothing did.

        Raises:
            TransferError: when a collection was dropped or renamed.
        """
        ids: dict[int, dict[bytes, Any]] = {}
        time = None
        ends = monotonic() + _WAIT_SECONDS
        for _ in range(min(most, _AT_ONCE)):
            event = self._stream.try_next()
            if event is None:
                break
            self._check(event)
            identifier = exactly(event["documentKey"]["_id"])
            of_part = ids.setdefault(self._numbers[event["ns"]["coll"]], {})
            # Behind the others: what it gave up, a value of a unique index say, came first.
            of_part.pop(key_of(identifier), None)
            of_part[key_of(identifier)] = identifier
            time = event["clusterTime"]
            if monotonic() > ends:
                break
        token = self._stream.resume_token
        if time is None or token is None:
            return None
        return Changes(
            {number: list(found.values()) for number, found in ids.items()}, time, token
        )

    def has_reached(self, mark: Mapping[str, Any]) -> bool:
        """Whether everything until ``mark`` has been read, where ``read`` has just found nothing.

        That it found nothing says little: a stream stays with the member that was the primary
        when it began, and that can be behind the others.
        """
        token = self.token
        return token is not None and bool(token["_data"] >= mark["_data"])

    def mark(self, time: Timestamp) -> Mapping[str, Any]:
        """The token of a ``time``. Tokens are in the order of what they stand for:
        https://www.mongodb.com/docs/manual/changeStreams/#resume-tokens."""
        # Without events, the server's answer holds the token of the time itself.
        with _stream(
            self._origin, self._plan, start_at_operation_time=time, batch_size=0
        ) as stream:
            return cast("Mapping[str, Any]", stream.resume_token)

    @property
    def token(self) -> Mapping[str, Any] | None:
        """Where to go on behind everything that was read."""
        return self._stream.resume_token

    def _check(self, event: Mapping[str, Any]) -> None:
        if event["operationType"] not in _OF_DOCUMENTS:
            where = event.get("ns", {}).get("coll", "the database")
            raise TransferError(
                f"{where!r} on {self._plan.source!r} was changed as a whole "
                f"({event['operationType']}), which can't be followed; take back what was "
                "copied, and begin again",
                alias=self._plan.source,
            )


def _stream(origin: Endpoint, plan: Plan, **where: Any) -> ChangeStream[dict[str, Any]]:
    names = [part.source for part in plan.parts]
    concerned = [
        {"ns.coll": {"$in": names}},
        {"to.coll": {"$in": names}},
        {"operationType": {"$in": ["dropDatabase", "invalidate"]}},
    ]
    pipeline: list[dict[str, Any]] = [
        {"$match": {"$or": concerned}},
        {"$project": {"operationType": 1, "ns": 1, "documentKey": 1, "clusterTime": 1}},
    ]
    wait_ms = round(_WAIT_SECONDS * 1000)
    # Undecoded: ids are taken exactly as they are.
    database = origin.database.with_options(codec_options=RAW)
    stream = database.watch(pipeline, max_await_time_ms=wait_ms, **where)
    return cast("ChangeStream[dict[str, Any]]", stream)
