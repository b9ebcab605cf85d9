"""Performance issue 3: are the declared indexes there, and are the indexes used?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from datalayer.doctor.facts import AliasFacts, Answer, Document, Session, Unknown
from datalayer.doctor.findings import Remark, note, ok, skipped, warning
from datalayer.indexes import CollectionDiff

_LONG_ENOUGH = timedelta(days=1)
_MOST = 10


def judge_indexes(facts: AliasFacts) -> Iterator[Remark]:
    """The models' indexes against the server's, indexes without use, queries without index."""
    session = facts.server
    if not isinstance(session, Session):
        yield skipped("no session could be opened")
        return
    yield from _differences(session)
    yield from _unused(session.index_uses, datetime.now(UTC))
    yield from _scans(session.scans)


def _differences(session: Session) -> Iterator[Remark]:
    differences = session.differences
    if isinstance(differences, Unknown):
        yield skipped(f"the models' indexes: {differences.why}")
    elif not session.models:
        yield skipped(
            "the models' indexes: no model of this database is imported",
            "name the modules that define yours: datalayer doctor --models PACKAGE.MODULE",
        )
    elif not differences:
        yield ok(f"the indexes are as {session.models} models declare them")
    else:
        absent = [each.collection for each in differences if not each.exists]
        if absent:
            yield note(
                f"there is no collection yet for models: {', '.join(absent)}",
                "they are created at connect, or by `datalayer indexes sync`",
            )
        differences = tuple(each for each in differences if each.exists)
        for difference in differences[:_MOST]:
            yield from _difference(difference)
        if len(differences) > _MOST:
            yield note(
                f"{len(differences) - _MOST} further collections differ from their models",
                "`datalayer indexes diff` shows them all",
            )


def _difference(difference: CollectionDiff) -> Iterator[Remark]:
    name = difference.collection
    missing = [index.name for index in difference.missing]
    changed = [change.expected.name for change in difference.changed]
    options = [option.name for option in difference.options]
    unknown = [index.name for index in difference.unknown]
    if missing:
        yield warning(
            f"{name} lacks {_named(missing)}, so its queries read more than they need",
            "run `datalayer indexes sync`",
        )
    if changed or options:
        yield warning(
            f"{name} has other {_named(changed + options)} than its model declares",
            "`datalayer indexes diff` shows how; `datalayer indexes sync --drop` rebuilds them",
        )
    if unknown:
        yield note(
            f"{name} has {_named(unknown)}, which no model declares",
            "declare them, or hide them with `datalayer indexes sync --hide`, and drop them later",
        )


def _unused(answer: Answer[tuple[Document, ...]], now: datetime) -> Iterator[Remark]:
    if isinstance(answer, Unknown):
        yield skipped(f"the use of indexes: {answer.why}")
        return
    unused: dict[str, list[str]] = {}
    young = 0
    for use in answer:
        # Unique and TTL indexes work without being read.
        works = use["name"] == "_id_" or use.get("unique") or use.get("ttl") is not None
        if works or use["uses"]:
            continue
        if now - _aware(use["since"]) < _LONG_ENOUGH:
            young += 1
        else:
            unused.setdefault(use["collection"], []).append(use["name"])
    for collection, names in unused.items():
        yield note(
            f"{collection} has {_named(names)} that no query on this server has used since it "
            "counts; every write pays for them",
            "hide them first: `datalayer indexes sync --hide` and `drop`, which asks all members",
        )
    if young:
        yield skipped(f"{young} unused indexes have been counted for less than a day")
    elif not unused:
        yield ok("there is no index that nobody uses")


def _scans(answer: Answer[tuple[Document, ...]]) -> Iterator[Remark]:
    if isinstance(answer, Unknown):
        yield skipped(
            f"queries without an index: {answer.why}",
            "to have slow ones recorded, run db.setProfilingLevel(1) for a while; an "
            "examination changes nothing",
        )
        return
    for scan in answer[:_MOST]:
        yield warning(
            f"{scan['operation']} on {scan['collection']} read the whole collection "
            f"{scan['times']} times, {scan['slowest_ms']} ms at most (system.profile)",
            "give these queries an index",
        )
    if not answer:
        yield ok("the profiler recorded no query that reads a whole collection")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _named(names: list[str]) -> str:
    return f"the index {names[0]}" if len(names) == 1 else f"the indexes {', '.join(names)}"
