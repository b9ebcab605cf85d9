"""Does the server hold new documents to what their models declare? Compares the validators of
collections with those in the models' ``meta``, and sets them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pymongo

from datalayer.connections.operation import asking
from datalayer.documents.extended_json import json_ready
from datalayer.indexes.building import BUILD_SECONDS, create_collection
from datalayer.indexes.comparing import ChangedOption, changed_options
from datalayer.indexes.existing import own_session
from datalayer.indexes.failures import explained
from datalayer.indexes.syncing import alter_options
from datalayer.schema.checking import LOOK_SECONDS, Finding, findings_against, looking
from datalayer.schema.rules import rules_of
from datalayer.schema.targets import Target, targets

_OPTIONS = ("validator", "validationLevel", "validationAction")


@dataclass(frozen=True)
class ValidatorDiff:
    """How the validator of one collection stands to what its models declare.

    ``state`` is ``same``, ``missing`` (declared, and the collection has none), ``different``,
    ``undeclared`` (the collection has one that no model declares, which is left alone) or
    ``none``. ``added`` says in words what the models say and the collection doesn't, ``removed``
    what the collection says and the models don't, each rule as its path and name; ``options``
    are those of the collection that differ. ``level`` and ``action`` are in force where the
    collection has a validator: ``off`` means that it holds nobody to anything.
    """

    alias: str
    collection: str
    state: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    options: tuple[ChangedOption, ...] = ()
    level: str | None = None
    action: str | None = None

    @property
    def pending(self) -> bool:
        """Whether ``apply`` has something to do."""
        return self.state in ("missing", "different")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alias": self.alias,
            "collection": self.collection,
            "state": self.state,
            "added": list(self.added),
            "removed": list(self.removed),
            "options": [
                {
                    "name": each.name,
                    "expected": json_ready(each.expected),
                    "actual": json_ready(each.actual),
                }
                for each in self.options
            ],
            "level": self.level,
            "action": self.action,
        }


@dataclass(frozen=True)
class Applied:
    """What ``apply`` did with one collection.

    ``outcome`` is ``created``, ``set`` or ``refused``: then ``findings`` says which documents the
    validator would refuse, and nothing was changed.
    """

    alias: str
    collection: str
    outcome: str
    findings: tuple[Finding, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alias": self.alias,
            "collection": self.collection,
            "outcome": self.outcome,
            "findings": [each.as_dict() for each in self.findings],
        }


def diff(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
) -> list[ValidatorDiff]:
    """How the validators of collections stand to what their models declare in ``meta``.

    ``models``, ``aliases`` and ``collection`` choose as in ``check``. Writes nothing.

    Raises:
        ConfigurationError: for what has no model, or is no collection with a validator.
        IndexBuildError: for a ``meta`` that means nothing.
        NotConnectedError: for an alias that isn't connected.
        UnavailableError: where a server is away.
    """
    return [
        _compared(target) for target in targets(models, aliases=aliases, collection=collection)
    ]


def apply(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
    anyway: bool = False,
    seconds: float = LOOK_SECONDS,
) -> list[Applied]:
    """Set the validators that models declare, and create the collections that are missing.

    A validator that documents break which are stored already is refused, unless ``anyway``: they
    could not be changed any more without being repaired in the same write. With the level
    ``moderate`` or ``off``, and with the action ``warn``, no write to them is refused, so those
    are set without a look.

    ``models``, ``aliases``, ``collection`` and ``seconds`` are as in ``check``. Collections whose
    validator is as declared are left out of what is returned.

    Raises:
        AuthenticationError: where the user may not read the collection, or set its validator.
        IndexBuildError: where the server refuses the validator.

    and what ``diff`` and ``check`` raise.
    """
    found = targets(models, aliases=aliases, collection=collection)
    pending = [(target, each) for target in found if (each := _compared(target)).pending]
    return [_applied(target, each, anyway, seconds) for target, each in pending]


def _applied(target: Target, found: ValidatorDiff, anyway: bool, seconds: float) -> Applied:
    with explained(target.connection, target.plan):
        if target.existing is not None and not anyway and _refuses_writes(target):
            with looking(target, seconds):
                findings = findings_against(target, target.plan.options["validator"])
            if findings:
                return Applied(target.alias, target.name, "refused", tuple(findings))
        return Applied(target.alias, target.name, _set(target, found))


def _set(target: Target, found: ValidatorDiff) -> str:
    connection = target.connection
    with (
        pymongo.timeout(BUILD_SECONDS),
        asking(connection, f"setting the validator of {target.name!r}"),
        own_session(connection) as session,
    ):
        if target.existing is None:
            create_collection(connection, target.plan, session)
            return "created"
        alter_options(connection, target.plan, found.options, session)
        return "set"


def _refuses_writes(target: Target) -> bool:
    """Whether the declared validator can refuse to have a stored document changed."""
    level, action = _in_force({**_options_there(target), **target.plan.options})
    return level == "strict" and action != "warn"


def _compared(target: Target) -> ValidatorDiff:
    wanted = {name: target.plan.options[name] for name in _OPTIONS if name in target.plan.options}
    present = _options_there(target)
    there = present.get("validator")
    level, action = _in_force(present) if there else (None, None)
    found = ValidatorDiff(
        target.alias,
        target.name,
        "undeclared" if there else "none",
        level=level,
        action=action,
    )
    if "validator" not in wanted:
        return found
    options = changed_options(wanted, present)
    declared, stored = _rules_in(wanted["validator"]), _rules_in(there or {})
    return replace(
        found,
        state="same" if not options else "different" if there else "missing",
        added=tuple(rule for rule in declared if rule not in stored),
        removed=tuple(rule for rule in stored if rule not in declared),
        options=options,
    )


def _options_there(target: Target) -> Mapping[str, Any]:
    options: Mapping[str, Any] = (target.existing or {}).get("options", {})
    return options


def _in_force(options: Mapping[str, Any]) -> tuple[str, str]:
    """The level and the action, with the server's defaults."""
    return options.get("validationLevel", "strict"), options.get("validationAction", "error")


def _rules_in(validator: Mapping[str, Any]) -> list[str]:
    """What a validator says, in words."""
    found = [
        f"{rule.path}: {rule.name} ({rule.detail})"
        for rule in rules_of(validator.get("$jsonSchema", {}))
    ]
    return found + [key for key in validator if key != "$jsonSchema"]
