"""Writes the file of a migration from what was found, for a person to read and complete. Pure
functions: findings in, a text out, which holds names and counts and no values of documents."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from datalayer.indexes import ChangedIndex, CollectionDiff, Index
from datalayer.migrations.drift.guesses import new_name
from datalayer.migrations.drift.values import Drift
from datalayer.schema import Finding

_WIDTH = 99
_HEAD = '''"""{title}.

Drafted from how documents and indexes differ from the models. Read it, complete it, and take out
what is not meant; then `datalayer migrations plan` and `datalayer migrations rehearse`.
"""

from datalayer.migrations import Migration


'''
_APPLY = '''def apply(m: Migration) -> None:
    """What changes."""
'''
_UNDO = '''def undo(m: Migration) -> None:
    """The way back, in the opposite order."""
'''
_CONVERSIONS = {
    "string": ("to_string", "str"),
    "int": ("to_int", "int"),
    "long": ("to_int", "int"),
    "double": ("to_float", "float"),
}
_CONVERSION = '''def {name}(value: object) -> object:
    """A value of another type than the model wants; complete it for what {call}() can't read."""
    return value if value is None else {call}(str(value))


'''
_NESTED = ("[]", "*")


@dataclass(frozen=True)
class _Step:
    """A few lines of the file: why, what, and the way back."""

    why: str
    lines: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    function: str | None = None
    """The text of a function that it needs."""


def draft(title: str, drift: Drift) -> str:
    """The text of a migration's file, which can be imported and planned as it is.

    What is sure is a step; what is a guess, or needs a decision, is a comment.
    """
    parts: list[tuple[str, list[_Step]]] = []
    for alias, collection in sorted(_places(drift)):
        steps = [
            *_field_steps(drift, alias, collection),
            *_index_steps(drift, alias, collection),
        ]
        if steps:
            parts.append((f"{alias}.{collection}", steps))
    every = [step for _, steps in parts for step in steps]
    functions = "".join(sorted({step.function for step in every if step.function}))
    undo = "".join(_lines(step.back) for step in reversed(every))
    return "".join(
        [
            _HEAD.format(title=title.translate(_UNFIT).strip() or "Drift"),
            functions,
            _APPLY,
            *(_section(place, steps) for place, steps in parts),
            "\n\n",
            _UNDO,
            undo,
        ]
    )


_UNFIT = str.maketrans({"\\": None, '"': "'", "\n": " "})


def _places(drift: Drift) -> set[tuple[str, str]]:
    fields = {(each.alias, each.collection) for each in drift.findings}
    return fields | {(each.alias, each.collection) for each in drift.differences}


# Fields


def _field_steps(drift: Drift, alias: str, collection: str) -> Iterator[_Step]:
    here = [
        each for each in drift.findings if (each.alias, each.collection) == (alias, collection)
    ]
    missing = {each.path for each in here if each.rule == "missing"}
    unknown = {
        each.path: each
        for each in drift.unknown
        if (each.alias, each.collection) == (alias, collection)
    }
    renamed = {path: name for path, each in unknown.items() if (name := new_name(each, missing))}
    order = {"unknown_field": 0, "missing": 1, "wrong_type": 2}
    for each in sorted(here, key=lambda each: (order.get(each.rule, 3), each.path)):
        if each.path.partition(".")[0] == "_id":
            yield _Step(
                f"{_documents(each, 'have', 'has')} an _id of another type than "
                f"{_shown(each.detail)}. An _id stays: m.transfer() brings documents with other "
                "ones into another collection."
            )
        elif any(part in each.path for part in _NESTED) or each.rule not in order:
            yield _by_hand(each)
        elif each.rule == "unknown_field":
            yield _unknown(each, renamed.get(each.path))
        elif each.rule == "missing":
            old = next((old for old, new in renamed.items() if new == each.path), None)
            yield _missing(each, drift, old)
        else:
            yield _wrong_type(each)


def _unknown(finding: Finding, renamed_to: str | None) -> _Step:
    target, old = _target(finding.alias, finding.collection), _quoted(finding.path)
    have = f"{_documents(finding, 'have', 'has')} {old}, which the model doesn't know"
    remove, restore = f"m.remove_field({target}, {old})", f"m.restore_field({target}, {old})"
    if renamed_to is None:
        return _Step(f"{have}.", (remove,), (restore,))
    new = _quoted(renamed_to)
    return _Step(
        f"{have}, and none of them has {new}. A guess: it was renamed. Take one of the two lines, "
        "and its way back.",
        (f"# m.rename_field({target}, {old}, {new})", f"# {remove}"),
        (f"# {restore}", f"# m.rename_field({target}, {new}, {old})"),
    )


def _missing(finding: Finding, drift: Drift, old: str | None) -> _Step:
    target, name = _target(finding.alias, finding.collection), _quoted(finding.path)
    lack = f"{_documents(finding, 'lack', 'lacks')} {name}, which the model requires"
    if old is not None:
        lack += f" ({_quoted(old)} may be it)"
    place = (finding.alias, finding.collection, finding.path)
    if place not in drift.defaults:
        why = f"{lack}, without a default: say which value they get."
        return _Step(why, (f"# m.set_default({target}, {name}, ...)",))
    literal = _literal(drift.defaults[place])
    if literal is None:
        why = f"{lack}. Its default is no plain value: say which one they get, or use m.each()."
        return _Step(why, (f"# m.set_default({target}, {name}, ...)",))
    line, back = f"m.set_default({target}, {name}, {literal})", f"m.remove_field({target}, {name})"
    if old is not None:
        return _Step(f"{lack}; this is its default.", (f"# {line}",), (f"# {back}",))
    if finding.documents < drift.totals.get((finding.alias, finding.collection), math.inf):
        back = f"# {back}  # but not from those that had it before"
    return _Step(f"{lack}; this is its default.", (line,), (back,))


def _wrong_type(finding: Finding) -> _Step:
    target, name = _target(finding.alias, finding.collection), _quoted(finding.path)
    have, wanted = _documents(finding, "have", "has"), _shown(finding.detail)
    why = f"{have} {name} of another type than {wanted}."
    kinds = [kind.strip() for kind in finding.detail.split(",")]
    known = next((_CONVERSIONS[kind] for kind in kinds if kind in _CONVERSIONS), None)
    back = f"m.restore_field({target}, {name})"
    if known is None:
        line = f"# m.convert({target}, {name}, ...)"
        return _Step(f"{why} Write a function for it.", (line,), (f"# {back}",))
    function, call = known
    text = _CONVERSION.format(name=function, call=call)
    return _Step(why, (f"m.convert({target}, {name}, {function})",), (back,), text)


def _by_hand(finding: Finding) -> _Step:
    rule = finding.rule.replace("_", " ")
    where = _quoted(finding.path) if finding.path else "the document itself"
    if finding.rule in ("missing", "unknown_field"):
        found = f"{rule} {where}"
    else:
        found = f"{rule} in {where} ({_shown(finding.detail)})"
    return _Step(f"{_documents(finding)}: {found}. It takes m.update(), m.convert() or m.each().")


# Indexes


def _index_steps(drift: Drift, alias: str, collection: str) -> Iterator[_Step]:
    for each in drift.differences:
        if (each.alias, each.collection) == (alias, collection):
            yield from _indexes_of(each, _target(alias, collection))


def _indexes_of(difference: CollectionDiff, target: str) -> Iterator[_Step]:
    if not difference.exists:
        yield _Step("The collection isn't there yet; its first step, or connecting, makes it.")
    for option in difference.options:
        name = _quoted(option.name)
        yield _Step(
            f"The collection's {name} differs from the model's: `datalayer schema apply` sets "
            "validators once documents keep them, and `datalayer indexes sync` what else can be."
        )
    for index in difference.missing:
        build, name = _build(target, index), _quoted(index.name)
        if build is None:
            yield _Step(f"The index {name} is missing; `datalayer indexes sync` builds it.")
        else:
            drop = f"m.drop_index({target}, {name})"
            yield _Step(f"The index {name} is missing.", (build,), (drop,))
    for change in difference.changed:
        yield _changed(target, change)
    for index in difference.unknown:
        name = _quoted(index.name)
        if index.options.get("hidden"):
            yield _Step(
                f"No model declares the index {name}, which is hidden; `datalayer indexes drop` "
                "drops it once nobody has missed it."
            )
        else:
            yield _Step(
                f"No model declares the index {name}. Hidden, it can be brought back at once.",
                (f"m.hide_index({target}, {name})",),
                (f"m.unhide_index({target}, {name})",),
            )


def _changed(target: str, change: ChangedIndex) -> _Step:
    name = _quoted(change.actual.name)
    if change.in_place:
        return _Step(f"The index {name} differs; `datalayer indexes sync` changes it in place.")
    build = _build(target, change.expected)
    why = f"The index {name} differs from the model's. Queries do without it meanwhile."
    back = _build(target, change.actual)
    if build is None or back is None:
        return _Step(f"{why} `datalayer indexes sync --drop` builds it anew.")
    expected = _quoted(change.expected.name)
    return _Step(
        why,
        (f"# m.drop_index({target}, {name})", f"# {build}"),
        (f"# m.drop_index({target}, {expected})", f"# {back}"),
    )


def _build(target: str, index: Index) -> str | None:
    """The call that builds an index; ``None`` where its options can't be written down so."""
    if any(key == "_fts" for key, _ in index.keys):
        return None  # the server's form of a text index is none that it takes
    options = {"name": index.name, **index.options}
    literals = {name: _literal(value) for name, value in options.items()}
    if None in literals.values():
        return None
    keys = ", ".join(f"({_quoted(key)}, {_literal(kind)})" for key, kind in index.keys)
    given = ", ".join(f"{name}={literal}" for name, literal in literals.items())
    return f"m.build_index({target}, [{keys}], {given})"


# Text


def _section(place: str, steps: Sequence[_Step]) -> str:
    return f"\n    # {_shown(place)}\n" + "".join(
        "\n" + _comment(step.why) + _lines(step.lines) for step in steps
    )


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _comment(text: str) -> str:
    lines = wrap(text, _WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    return _lines([f"# {line}" for line in lines])


def _documents(finding: Finding, have: str = "", has: str = "") -> str:
    one = finding.documents == 1
    return f"{finding.documents:,} document{'' if one else 's'} {has if one else have}".rstrip()


def _target(alias: str, collection: str) -> str:
    name = _quoted(collection)
    return name if alias == "default" else f"({_quoted(alias)}, {name})"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _shown(text: str) -> str:
    """On one line, whatever is in it."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _literal(value: Any) -> str | None:
    """How it is written in Python; ``None`` where it can't be."""
    if value is None or isinstance(value, bool) or type(value) is int:
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if type(value) is str:
        return _quoted(value)
    if isinstance(value, list | tuple):
        items = [_literal(each) for each in value]
        return None if None in items else f"[{', '.join(map(str, items))}]"
    if isinstance(value, dict):
        pairs = {_literal(key): _literal(part) for key, part in value.items()}
        if None in pairs or None in pairs.values():
            return None
        return f"{{{', '.join(f'{key}: {part}' for key, part in pairs.items())}}}"
    return None
