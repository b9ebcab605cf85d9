"""Brings a rehearsal about: a plan, a private server with a sample, and the process that tries."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from mongoengine.base.common import _document_registry
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import MigrationError
from datalayer.failures.connecting import kind_of
from datalayer.migrations.api import plan
from datalayer.migrations.definitions import define
from datalayer.migrations.files import find, place_of
from datalayer.migrations.rehearsal.report import NotRestored, Rehearsal, RehearsedStep, Sample
from datalayer.migrations.rehearsal.sample import take, take_history, touched
from datalayer.migrations.report import PlannedMigration
from datalayer.settings.variables import variables_of

SAMPLE = 1000
"""How many documents of each collection are tried."""
TRY_SECONDS = 3600.0
"""How long the other process may take."""

_NOTES_SECONDS = 0.1
"""What a migration takes besides its steps and its own code: the history, and the lease."""

OnPhase = Callable[[str], object]


def rehearse(
    to: int | None = None,
    *,
    package: str | None = None,
    sample: int = SAMPLE,
    also: Sequence[tuple[str, str]] = (),
    modules: Sequence[str] = (),
    seconds: float = TRY_SECONDS,
    on_phase: OnPhase | None = None,
) -> Rehearsal:
    """Try the pending migrations on a sample of the documents: apply, check the schemas, undo, and
    compare. Writes nothing to the connected databases.

    The sample lies on a private server on this machine, behind a password, as long as this runs. A
    process of its own works there, with the same aliases; the modules of the models that are known
    here are imported in it.

    Arguments:
        to: only until this number.
        package: where the files are; by default the setting ``DATALAYER_MIGRATIONS``.
        sample: how many documents of each collection that steps touch, at random.
        also: alias and name of further collections to take, which functions of the files read.
        modules: further modules to import there.
        seconds: how long the other process may take.
        on_phase: called with ``plan``, ``sample``, ``apply``, ``check`` and ``undo``.

    Raises:
        ConfigurationError: where there is no such package or folder.
        MigrationError: for files that are not as they should be, where a migration is not wholly
            applied or undone, where the sample can't be taken, and where the other process fails
            to answer.
        EmbeddedError: where no private server can be started.
    """
    tell = on_phase or (lambda _phase: None)
    package = _package(package)
    tell("plan")
    planned = plan(to, package=package)
    if not planned:
        return Rehearsal((), (), (), 0, (), True, ())
    if begun := [each.name for each in planned if each.begun]:
        raise MigrationError(
            f"{begun[0]} is not wholly applied, so a sample of the documents is neither as before "
            "nor as after it; go on with `datalayer migrations apply` first"
        )
    names = {each.name for each in planned}
    can_undo = all(
        each.undo is not None for each in define(find(place_of(package))) if each.name in names
    )
    aliases = registry.aliases()
    with _private(aliases) as (server, uris, databases):
        tell("sample")
        samples = _taken([*touched(planned), *also], sample, server.uri, databases)
        order = {
            "path": sys.path,
            "package": package,
            "databases": uris,
            "modules": [*modules_of_models(aliases), *modules],
            "django": "django" in sys.modules and "DJANGO_SETTINGS_MODULE" in os.environ,
            "numbers": [each.number for each in planned],
            "undo": can_undo,
        }
        answers = played_elsewhere(order, seconds, tell)
    return reported(planned, samples, answers, can_undo=can_undo)


def _package(package: str | None) -> str:
    configured = registry.settings
    if package is None:
        package = "migrations" if configured is None else configured.migrations
    return package


@contextmanager
def _private(
    aliases: Sequence[str],
) -> Iterator[tuple[EmbeddedMongo, dict[str, str], dict[str, str]]]:
    """A server, and the URI and database on it for each alias. Those that share a database share
    one here."""
    password = secrets.token_urlsafe(24)
    with EmbeddedMongo(
        auth=("rehearsal", password), parameters={"ttlMonitorEnabled": False}, in_memory=True
    ) as server:
        databases: dict[str, str] = {}
        taken: dict[str, Any] = {}
        for alias in aliases:
            settings = registry.connection(alias).settings
            name = settings.database
            if taken.setdefault(name, settings.hosts) != settings.hosts:
                name = f"{name[:40]}_{len(databases)}"  # of that name on another server
            databases[alias] = name
        yield server, {alias: server.uri_for(name) for alias, name in databases.items()}, databases


def _taken(
    places: Sequence[tuple[str, str]], size: int, uri: str, databases: Mapping[str, str]
) -> tuple[Sample, ...]:
    try:
        with MongoClient[Any](uri) as private:
            take_history(private, databases)
            found = take({*places}, size, private, databases)
            return tuple(sorted(found, key=lambda each: (each.alias, each.collection)))
    except PyMongoError as exc:
        raise MigrationError(
            f"the sample could not be taken ({kind_of(exc)}): a server can't be reached, refused "
            "an operation, or an index or option can't be had on the private server"
        ) from None


def modules_of_models(aliases: Sequence[str]) -> list[str]:
    """Where the models are defined that the other process is to know.

    Raises:
        MigrationError: for a model of the program itself, which can't be imported there.
    """
    found = {
        model.__module__
        for model in list(_document_registry.values())
        if model._meta.get("db_alias", "default") in aliases and not model._meta.get("abstract")
    }
    if "__main__" in found:
        raise MigrationError(
            "a model is defined in the program that was started, which another process can't "
            "import; put the models into a module"
        )
    return sorted(found)


def played_elsewhere(
    order: Mapping[str, Any], seconds: float, tell: OnPhase
) -> list[dict[str, Any]]:
    """What the other process answers, line by line."""
    program = [sys.executable, "-m", "datalayer.migrations.rehearsal.stage"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # What the application's modules read is not to lead to the real databases.
        **{variables_of(alias)["uri"]: uri for alias, uri in order["databases"].items()},
    }
    with subprocess.Popen(  # noqa: S603 - our own program
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=environment,
    ) as process:
        ending = threading.Timer(seconds, process.kill)
        ending.daemon = True
        ending.start()
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
            # Where it ended before it had read, there is no answer.
            with suppress(BrokenPipeError):
                json.dump(order, process.stdin)
            with suppress(BrokenPipeError):
                process.stdin.close()
            answers = []
            for line in process.stdout:
                answer = json.loads(line)
                answers.append(answer)
                if answer["kind"] == "phase":
                    tell(answer["name"])
        finally:
            ending.cancel()
            process.kill()
    if not answers:
        raise MigrationError(
            "the process that rehearses ended without an answer: see to it that Python can start "
            f"datalayer there, and that {seconds:g} s are enough"
        )
    return answers


def reported(
    planned: Sequence[PlannedMigration],
    samples: Sequence[Sample],
    answers: Sequence[Mapping[str, Any]],
    *,
    can_undo: bool,
) -> Rehearsal:
    """What came of it, from what the other process has answered."""
    by_kind = {answer["kind"]: answer for answer in answers}
    checked, undone = by_kind.get("checked", {}), by_kind.get("undone")
    problem = by_kind.get("problem", {}).get("text")
    if problem is None and (undone is None and can_undo):
        problem = "the process that rehearses ended in the middle, or took too long"
    steps = [
        step
        for answer in answers
        if answer["kind"] == "applied"
        for step in _rehearsed(answer["migration"], samples)
    ]
    return Rehearsal(
        tuple(each.name for each in planned),
        tuple(samples),
        tuple(steps),
        checked.get("before", 0),
        tuple(checked.get("findings", ())),
        undone=undone is not None,
        not_restored=tuple(
            NotRestored(alias, collection, what, documents, tuple(ids))
            for alias, collection, what, documents, ids in (undone or {}).get("not_restored", ())
        ),
        problem=problem,
        remarks=tuple(_remarks(planned, samples, steps, can_undo=can_undo)),
    )


def _rehearsed(migration: Mapping[str, Any], samples: Sequence[Sample]) -> Iterator[RehearsedStep]:
    """What the steps did, and the rest. Both go through whole collections, so their time grows
    with these."""
    name, besides = migration["name"], migration["took_ms"] / 1000
    growth = {f"{each.alias}.{each.collection}": each.growth for each in samples}
    for step in migration["steps"]:
        besides -= step["seconds"]
        factor = growth.get(step["target"])
        yield RehearsedStep(
            name,
            step["number"],
            step["kind"],
            step["target"],
            step["matched"],
            step["changed"],
            step["seconds"],
            whole_seconds=None if factor is None else step["seconds"] * factor,
        )
    besides -= _NOTES_SECONDS
    if besides > _NOTES_SECONDS:
        touched = {step["target"] for step in migration["steps"]} & growth.keys() or growth.keys()
        most = max((growth[each] or 1.0 for each in touched), default=None)
        yield RehearsedStep(
            name, 0, "own code", "", 0, 0, besides, None if most is None else besides * most
        )


def _remarks(
    planned: Sequence[PlannedMigration],
    samples: Sequence[Sample],
    steps: Sequence[RehearsedStep],
    *,
    can_undo: bool,
) -> Iterator[str]:
    if not samples:
        yield "no step names a collection that is there, so no documents were tried"
    if not can_undo:
        yield "not undone: one of the migrations has no undo(m)"
    tried = {(each.migration, each.number): each.matched for each in steps}
    for each in planned:
        if each.problem is not None:
            yield (
                f"{each.name}: not all collections could be told before ({each.problem}); name "
                "further ones with --collection"
            )
        for step in each.steps:
            if step.matched and tried.get((each.name, step.number)) == 0:
                yield (
                    f"{each.name}: the sample has none of the {step.matched:,} documents of step "
                    f"{step.number} ({step.kind} of {step.target}); take a larger one"
                )
