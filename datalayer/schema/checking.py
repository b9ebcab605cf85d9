"""Do the documents that are stored fit what their models say? The server looks, and counts those
that don't, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from pymongo.errors import OperationFailure

from datalayer.context.deadlines import deadline
from datalayer.documents.extended_json import json_ready
from datalayer.errors import ConfigurationError, DeadlineExceededError
from datalayer.indexes.advice import reason_of
from datalayer.schema.counting import MOST_IDS, Broken, count_broken
from datalayer.schema.rules import Rule, rules_of
from datalayer.schema.targets import Target, targets

LOOK_SECONDS = 600.0
"""The deadline for each collection. A shorter ``db.deadline`` around the call still holds."""


@dataclass(frozen=True)
class Finding:
    """Documents of one collection that break one rule of its model.

    ``path`` names the field: ``lines[].sku`` is that of each element of a list, ``prices.*`` each
    value of a map. ``rule`` is ``missing``, ``unknown_field``, ``wrong_type``, ``not_a_choice``,
    ``too_long``, ``too_short``, ``too_large``, ``too_small``, ``too_many``, ``too_few``,
    ``wrong_pattern``, ``not_unique``, ``not_a_multiple``, ``no_alternative``, ``not_allowed``,
    ``dangling_reference`` or ``unknown_class``; ``keyword`` is the schema's word for it, and
    ``detail`` what the model says. ``documents`` counts them; ``ids`` holds up to five of them.
    """

    alias: str
    database: str
    collection: str
    path: str
    rule: str
    keyword: str
    documents: int
    ids: tuple[Any, ...]
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the ids as MongoDB's Extended JSON."""
        return {**asdict(self), "ids": json_ready(self.ids)}


@dataclass(frozen=True)
class CheckProgress:
    """Which collection is looked at next: the how manieth (``number``, from 1) of how many
    (``total``), and how many ``documents`` it has, by the server's estimate."""

    alias: str
    collection: str
    number: int
    total: int
    documents: int


Tell = Callable[[CheckProgress], object]


def check(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
    seconds: float = LOOK_SECONDS,
    on_progress: Tell | None = None,
) -> list[Finding]:
    """Which rules of their models the stored documents break, and how many break each.

    The server looks; of the documents, only the names of unknown fields and up to five ids for
    each rule leave it. Where all is well, it reads each collection once. Writes nothing, and
    takes no part in a transaction around it. Reads from the primary unless ``db.read_from`` or
    the model's ``read_from`` says otherwise.

    Arguments:
        models: documents of datalayer or of MongoEngine, whose collections are looked at; by
            default those of all models whose alias is connected, but for views and time series.
        aliases: only these databases.
        collection: only this collection.
        seconds: how long the server may take for each collection; 600 by default.
        on_progress: called before each collection.

    Raises:
        ConfigurationError: for what has no model, is no collection with a validator, or says
            what the server can't look for.
        NotConnectedError: for an alias that isn't connected.
        AuthenticationError: where the user may not read it.
        DeadlineExceededError: where ``seconds`` are too few for a collection.
        UnavailableError: where a server is away.
    """
    found: list[Finding] = []
    for target in looked_through(
        targets(models, aliases=aliases, collection=collection), on_progress
    ):
        with looking(target, seconds):
            found += findings_in(target, target.schema)
    return found


def findings_in(target: Target, schema: Mapping[str, Any]) -> list[Finding]:
    """What in the collection breaks ``schema``."""
    whole = {"$nor": [{"$jsonSchema": schema}]}
    with target.reading() as collection:
        return [
            _finding(target, each) for each in count_broken(collection, rules_of(schema), whole)
        ]


def findings_against(target: Target, validator: Mapping[str, Any]) -> list[Finding]:
    """What in the collection a validator would refuse, which may be any filter."""
    schema = validator.get("$jsonSchema")
    found = [] if schema is None else findings_in(target, schema)
    others = {key: value for key, value in validator.items() if key != "$jsonSchema"}
    if others:
        broken = {"$nor": [others]}
        with target.reading() as collection:
            ids = tuple(
                each["_id"] for each in collection.find(broken, {"_id": 1}).limit(MOST_IDS)
            )
            count = collection.count_documents(broken) if ids else 0
        if count:
            rule = Rule("", "not_allowed", ", ".join(others), "the validator of its own", {})
            found.append(_finding(target, Broken(rule, count, ids)))
    return found


def looked_through(found: Sequence[Target], tell: Tell | None) -> Iterator[Target]:
    """The collections that are there, each told of before."""
    for number, target in enumerate(found, 1):
        if tell is not None:
            with target.reading() as collection:
                documents = collection.estimated_document_count()
            tell(CheckProgress(target.alias, target.name, number, len(found), documents))
        if target.existing is not None:
            yield target


@contextmanager
def looking(target: Target, seconds: float) -> Iterator[None]:
    """Gives the server ``seconds`` to look through a collection."""
    try:
        with deadline(seconds):
            yield
    except DeadlineExceededError as error:
        raise DeadlineExceededError(
            f"the server did not get through {target.name!r} on {target.alias!r} within "
            f"{seconds:g} s; give it more (--deadline, or seconds=), ask another member "
            "(--read-from secondaryPreferred), or look at it in a quiet hour",
            alias=target.alias,
        ) from error
    except OperationFailure as error:
        raise ConfigurationError(
            f"the server can't look for what the models of {target.name!r} on {target.alias!r} "
            f"say ({reason_of(error)}); correct the pattern or the validator that it names",
            alias=target.alias,
        ) from None


def _finding(target: Target, broken: Broken) -> Finding:
    rule = broken.rule
    return Finding(
        alias=target.alias,
        database=target.connection.settings.database,
        collection=target.name,
        path=rule.path,
        rule=rule.name,
        keyword=rule.keyword,
        documents=broken.documents,
        ids=broken.ids,
        detail=rule.detail,
    )
