"""Which single rules does a schema consist of? Takes a nested ``$jsonSchema`` apart: a pure
function, which asks no server.

Each rule is a schema of its own, with one keyword inside its path, that a document keeps or
breaks. A document fits the whole schema exactly if it keeps all rules, so the server can be asked
for them one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from bson import json_util

Schema = Mapping[str, Any]
Wrap = Callable[[Schema], Schema]

NAMES: Mapping[str, str] = {
    "required": "missing",
    "additionalProperties": "unknown_field",
    "bsonType": "wrong_type",
    "type": "wrong_type",
    "enum": "not_a_choice",
    "maxLength": "too_long",
    "minLength": "too_short",
    "maximum": "too_large",
    "minimum": "too_small",
    "pattern": "wrong_pattern",
    "maxItems": "too_many",
    "minItems": "too_few",
    "maxProperties": "too_many",
    "minProperties": "too_few",
    "uniqueItems": "not_unique",
    "multipleOf": "not_a_multiple",
    "anyOf": "no_alternative",
    "oneOf": "no_alternative",
}
"""What it is called to break a keyword; ``not_allowed`` for any other."""

_MODIFIERS = {"maximum": "exclusiveMaximum", "minimum": "exclusiveMinimum"}
_NO_RULES = frozenset({"title", "description", "$comment", *_MODIFIERS.values()})
_NUMBERS = frozenset({"int", "long", "double", "decimal"})
_OF_DOCUMENTS = frozenset(
    {"properties", "required", "additionalProperties", "patternProperties", "minProperties"}
)
_LONGEST_DETAIL = 120
_MOST_NAMES = 50
"""Unknown fields that are told by their names, for each place: the most frequent ones."""


@dataclass(frozen=True)
class Rule:
    """One thing that a schema says."""

    path: str
    """Where: names of fields with dots; ``[]`` is each element of a list, ``*`` each value of a
    map or each field that is not named."""
    name: str
    """What it is called to break it, ``missing`` say."""
    keyword: str
    """The schema's word for it, ``required`` say."""
    detail: str
    """What the schema says."""
    schema: Schema
    """What a document fits exactly if it keeps this rule."""
    named: Schema | None = None
    """The fields that there may be, of a rule that there be no others."""
    nameable: int = 0
    """How many unknown fields may get a rule of their own."""
    wrap: Wrap | None = field(default=None, compare=False, repr=False)
    """Takes a schema to the path of such a rule."""

    @property
    def broken(self) -> dict[str, Any]:
        """The filter for the documents that break it."""
        return {"$nor": [{"$jsonSchema": self.schema}]}


def rules_of(schema: Schema) -> list[Rule]:
    """The single rules of ``schema``."""
    found = _rules(schema, "", lambda inner: inner)
    return merged(rule for rule in found if rule.path or rule.name != "wrong_type")


def merged(rules: Iterable[Rule]) -> list[Rule]:
    """The same rules, where what is said alike of several classes is one."""
    alike: dict[Any, list[Rule]] = {}
    for number, rule in enumerate(rules):
        of_its_own = number if rule.wrap is not None else None
        alike.setdefault((rule.path, rule.keyword, rule.detail, of_its_own), []).append(rule)
    return [
        same[0]
        if len(same) == 1
        else replace(same[0], schema={"allOf": [rule.schema for rule in same]})
        for same in alike.values()
    ]


def split_unknown(rule: Rule, names: Iterable[str]) -> list[Rule]:
    """A rule that there be no unknown field, as one for each of ``names`` and one for all
    others. Any other rule is given back as it is."""
    if rule.wrap is None or rule.named is None:
        return [rule]
    properties = rule.named.get("properties", {})
    patterns = rule.named.get("patternProperties", ())
    unknown = [
        name
        for name in sorted(set(names) - set(properties))
        if not any(re.search(pattern, name) for pattern in patterns)
    ]
    parent = rule.path.removesuffix("*").removesuffix(".")
    single = [
        replace(
            rule,
            path=joined(parent, name),
            schema=rule.wrap({"properties": {name: {"not": {}}}}),
            named=None,
            nameable=0,
            wrap=None,
        )
        for name in unknown
    ]
    named = {**rule.named, "properties": {**properties, **_free(unknown)}}
    return [*single, _closed(rule.path, named, rule.wrap, rule.nameable - len(unknown))]


def joined(path: str, name: str) -> str:
    """The path of a part."""
    return f"{path}.{name}" if path else name


def shown(value: Any) -> str:
    """What a schema says, in a few words."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, Sequence):
        text = ", ".join(each if isinstance(each, str) else _as_json(each) for each in value)
    else:
        text = _as_json(value)
    return text if len(text) <= _LONGEST_DETAIL else f"{text[: _LONGEST_DETAIL - 3]}..."


def _as_json(value: Any) -> str:
    return json.dumps(value, default=json_util.default)


def _rules(schema: Schema, path: str, wrap: Wrap) -> Iterator[Rule]:
    for keyword, value in schema.items():
        if keyword == "required":
            for name in value:
                yield _missing(name, path, wrap)
        elif keyword == "additionalProperties":
            yield from _additional(schema, path, wrap)
        elif keyword in ("anyOf", "oneOf"):
            yield from _alternatives(keyword, value, path, wrap)
        elif (parts := _parts(keyword, value, path, wrap)) is not None:
            for part in parts:
                yield from _rules(*part)
        elif keyword not in _NO_RULES:
            names = [name for name in (keyword, _MODIFIERS.get(keyword, "")) if name in schema]
            yield _rule(path, keyword, value, wrap({name: schema[name] for name in names}))


def _parts(
    keyword: str, value: Any, path: str, wrap: Wrap
) -> list[tuple[Schema, str, Wrap]] | None:
    """The schemas inside a keyword, with their paths; ``None`` where it holds none."""
    if keyword == "properties":
        return [
            (part, joined(path, name), _inside(wrap, keyword, name))
            for name, part in value.items()
        ]
    if keyword == "patternProperties":
        return [
            (part, joined(path, "*"), _inside(wrap, keyword, name)) for name, part in value.items()
        ]
    if keyword == "items" and isinstance(value, Mapping):
        return [(value, f"{path}[]", _inside(wrap, keyword))]
    if keyword == "allOf":
        return [(part, path, wrap) for part in value]
    return None


def _missing(name: str, path: str, wrap: Wrap) -> Rule:
    schema = wrap({"required": [name]})
    return Rule(joined(path, name), "missing", "required", "it has to be there", schema)


def _rule(path: str, keyword: str, value: Any, schema: Schema) -> Rule:
    detail = "there may be no such value" if (keyword, value) == ("not", {}) else shown(value)
    return Rule(path, NAMES.get(keyword, "not_allowed"), keyword, detail, schema)


def _additional(schema: Schema, path: str, wrap: Wrap) -> Iterator[Rule]:
    """What holds of fields that are not named: that there be none, or what they have to be."""
    named = {
        key: _free(schema[key]) for key in ("properties", "patternProperties") if key in schema
    }
    value = schema["additionalProperties"]
    if value is False:
        yield _closed(joined(path, "*"), named, wrap)
    elif value is not True:
        yield from _rules(
            value,
            joined(path, "*"),
            lambda inner: wrap({**named, "additionalProperties": inner}),
        )


def _free(names: Iterable[str]) -> dict[str, Any]:
    return {name: {} for name in names}


def _closed(path: str, named: Schema, wrap: Wrap, nameable: int = _MOST_NAMES) -> Rule:
    return Rule(
        path,
        "unknown_field",
        "additionalProperties",
        "the model has no such field",
        wrap({**named, "additionalProperties": False}),
        named,
        nameable,
        wrap,
    )


def _inside(wrap: Wrap, keyword: str, name: str | None = None) -> Wrap:
    if name is None:
        return lambda inner: wrap({keyword: inner})
    return lambda inner: wrap({keyword: {name: inner}})


# Alternatives, of which a value has to fit one


def _alternatives(keyword: str, parts: Sequence[Schema], path: str, wrap: Wrap) -> Iterator[Rule]:
    """The rules of each of ``parts`` for the values that it is meant for, and that there be no
    others; or a single rule, where it can't be told which part is meant for which value."""
    cases = [_case(part) for part in parts]
    if not all(one.excludes(other) for one, other in combinations(cases, 2)):
        yield _rule(path, keyword, f"{len(parts)} alternatives", wrap({keyword: list(parts)}))
        return
    classes = sorted({name for case in cases for name in case.classes or ()})
    told = {(path, "bsonType")}
    if classes:
        told |= {(joined(path, "_cls"), each) for each in ("bsonType", "enum", "required")}
        named = wrap({"properties": {"_cls": {"enum": classes}}})
        yield _rule(joined(path, "_cls"), "enum", classes, named)
        if all(case.needs_class for case in cases if case.classes):
            yield _missing("_cls", path, wrap)
    if all(case.refuses_other_types for case in cases):
        types = sorted({each for case in cases for each in case.types})
        yield _rule(path, "bsonType", types, wrap({"bsonType": types}))
    for part, case in zip(parts, cases, strict=True):
        for rule in _rules(part, path, _where(case.condition, wrap)):
            if (rule.path, rule.keyword) not in told:
                yield rule


@dataclass(frozen=True)
class _Case:
    """Which values an alternative is meant for: of which types, and of which classes."""

    types: frozenset[str]
    classes: frozenset[str] | None
    needs_class: bool
    refuses_other_types: bool

    def excludes(self, other: _Case) -> bool:
        """Whether no value is meant for both."""
        if not (self.types and other.types):
            return False
        if not self.types & other.types:
            return True
        if self.types | other.types != {"object"} or None in (self.classes, other.classes):
            return False
        apart = not (self.classes or frozenset()) & (other.classes or frozenset())
        return apart and (self.needs_class or other.needs_class)

    @property
    def condition(self) -> Schema:
        """What just these values fit."""
        types: Schema = {"bsonType": sorted(self.types)}
        if self.classes is None:
            return types
        named = {"properties": {"_cls": {"enum": sorted(self.classes)}}}
        return {**types, **named, **({"required": ["_cls"]} if self.needs_class else {})}


def _case(part: Schema) -> _Case:
    given = part.get("bsonType", "object" if part.keys() <= _OF_DOCUMENTS else ())
    types = {given} if isinstance(given, str) else set(given)
    if "number" in types:
        types = types - {"number"} | _NUMBERS
    classes = part.get("properties", {}).get("_cls", {}).get("enum")
    return _Case(
        types=frozenset(types),
        classes=None if classes is None else frozenset(classes),
        needs_class="_cls" in part.get("required", ()),
        refuses_other_types="bsonType" in part,
    )


def _where(condition: Schema, wrap: Wrap) -> Wrap:
    return lambda inner: wrap({"anyOf": [{"not": condition}, inner]})
