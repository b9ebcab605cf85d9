"""What the server says against an index, as far as it can't hold values of documents, and what to
do about it. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datalayer.failures.server_codes import INDEX_EXISTS, ServerCode
from datalayer.indexes.comparing import ChangedIndex
from datalayer.indexes.declared import CollectionPlan, Model

# What an index was refused for before a document was read: the server then repeats the
# declaration, and nothing of the documents. The plain numbers have no names.
_OF_THE_DECLARATION: Mapping[int, str] = {
    **{
        code: code.name
        for code in (
            ServerCode.BadValue,
            ServerCode.FailedToParse,
            ServerCode.TypeMismatch,
            ServerCode.IllegalOperation,
            ServerCode.CannotCreateIndex,
            ServerCode.InvalidOptions,
            ServerCode.CommandNotSupported,
            ServerCode.CommandNotSupportedOnView,
            ServerCode.InvalidIndexSpecificationOption,
        )
    },
    13103: "too many keys",
    16764: "unique hashed index",
}
_NEVER_HOLDS_VALUES = frozenset({13103, 16764})
_WHILE_READING_DOCUMENTS = "Index build failed"
# Where a document can't be indexed: the kind of index, and what is wrong, in our words.
_OF_THE_DOCUMENTS: Mapping[int, tuple[str, str]] = {
    ServerCode.CannotIndexParallelArrays: (
        "",
        "a document has lists in two of its fields, and it takes one",
    ),
    13026: ("2d", "a document holds what is no point"),
    13027: ("2d", "a document holds a point outside of its bounds"),
    16755: ("2dsphere", "a document holds what is no GeoJSON, or a point that isn't on earth"),
    16766: ("hashed", "a document holds a list, which has no hash"),
    17261: ("text", "a document has a language that is no string"),
    17262: ("text", "a document names a language in its 'language' that the server lacks"),
}
_SPECIFICATION = re.compile(r"\.? *(Index spec|Specification|Requested index):.*", re.DOTALL)
_DOCUMENT = re.compile(r":? *\{.*", re.DOTALL)
_LONGEST_REASON = 200


def shown(index: IndexModel) -> str:
    """The index as an error names it: its name, its keys, and its options."""
    document = index.document
    parts = [f"{key}: {kind}" for key, kind in document["key"].items()]
    for name, value in document.items():
        if name not in ("key", "name"):
            # Filters and collations are long, and their names say enough.
            parts.append(f"{name}: {value}" if isinstance(value, int) else name)
    return f"{document['name']!r} ({', '.join(parts)})"


def is_about_declaration(exc: OperationFailure) -> bool:
    """Whether an index was refused for how it is declared, by the code."""
    return exc.code in _OF_THE_DECLARATION


def reason_of(exc: OperationFailure) -> str:
    """The reason in the server's words, with the name and number of its code.

    Only the code where the text may hold values of documents.
    """
    details = exc.details or {}
    name = details.get("codeName") or _OF_THE_DECLARATION.get(exc.code or 0)
    code = f"{name}, error {exc.code}" if name else f"error {exc.code}"
    text = str(details.get("errmsg", ""))
    may_hold_values = _WHILE_READING_DOCUMENTS in text and exc.code not in _NEVER_HOLDS_VALUES
    if not is_about_declaration(exc) or may_hold_values:
        return code
    words = text.rpartition(":: caused by ::")[2]
    for superfluous in (_SPECIFICATION, _DOCUMENT):
        words = superfluous.sub("", words)
    words = " ".join(words.split()).rstrip(".")[:_LONGEST_REASON]
    return f"{words} ({code})" if words else code


def trouble_with_documents(exc: OperationFailure) -> tuple[str, str] | None:
    """The kind of index that a document doesn't fit, and what is wrong with the document."""
    return _OF_THE_DOCUMENTS.get(exc.code or 0)


def advice_on(index: IndexModel, exc: OperationFailure) -> str:
    """What to change in the declaration of an index that the server refused."""
    return "; ".join(_advice(index.document, exc.code)) or "change its declaration in the model"


def obstructed_siblings(alias: str, plan: CollectionPlan) -> Iterator[str]:
    """A warning for each unique index that lets in one document only of some class."""
    for index in plan.indexes:
        if advice := sibling_advice(plan, index):
            yield f"the unique index {shown(index)} of {plan.name!r} on {alias!r}: {advice}"


def sibling_advice(plan: CollectionPlan, index: IndexModel) -> str | None:
    """What to do about classes that lack a field of a unique index; ``None`` where none does."""
    options = index.document
    if not options.get("unique") or options.get("sparse") or "partialFilterExpression" in options:
        return None
    for key in options["key"]:
        name = key.partition(".")[0]
        without = [model.__name__ for model in plan.models if not _may_have(model, name)]
        if without and len(without) < len(plan.models):
            return (
                f"documents of {', '.join(without)} in this collection have no {name!r}, and all "
                "of them count as duplicates of each other; make the field unique with "
                'sparse=True, or declare the index with a "partialFilterExpression" on "_cls"'
            )
    return None


def _advice(document: Mapping[str, Any], code: int | None) -> Iterator[str]:
    keys = list(document["key"])
    kinds = set(document["key"].values())
    if "expireAfterSeconds" in document and len(keys) > 1:
        if "_cls" in keys:
            yield (
                'a TTL index has a single field, and with allow_inheritance "_cls" comes before '
                'it: declare the index with "cls": False'
            )
        else:
            yield "a TTL index has a single field: leave out the others"
    if "partialFilterExpression" in document:
        yield (
            "a partial filter takes equality, $exists: true, $gt, $gte, $lt, $lte, $type and "
            "$and, from MongoDB 6.0 also $or and $in; and no sparse beside it"
        )
    if code in INDEX_EXISTS and "text" in kinds:
        yield (
            "a collection can have one text index: declare one over all the fields, as in "
            '{"fields": ["$title", "$body"]}'
        )
    if code == ServerCode.InvalidOptions:
        yield (
            "indexes of a time-series collection are neither unique, sparse nor of texts; its "
            'documents expire by "expireAfterSeconds" of meta["timeseries"]'
        )
    if code == ServerCode.InvalidIndexSpecificationOption:
        yield "mind the spelling of its options, and that the index on _id takes none"
    if "collation" in document and kinds & {"text", "2d", "hashed"}:
        yield "a text, 2d or hashed index takes no collation but the simple one"


def difference_of(change: ChangedIndex) -> str:
    """In what the index that stands differs from the declared one."""
    expected, actual = change.expected, change.actual
    if expected.keys != actual.keys:
        return f"on {_keys(actual.keys)} there, and on {_keys(expected.keys)} in the model"
    names = {
        name
        for name in {*expected.options, *actual.options}
        if expected.options.get(name) != actual.options.get(name)
    }
    return ", ".join(
        f"{name} is {_value(actual.options.get(name))} there and "
        f"{_value(expected.options.get(name))} in the model"
        for name in sorted(names)
    )


def _keys(keys: tuple[tuple[str, Any], ...]) -> str:
    return ", ".join(f"{key}: {kind}" for key, kind in keys)


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Mapping) and all(isinstance(each, int) for each in value.values()):
        return _keys(tuple(value.items()))
    return repr(value) if isinstance(value, (int, float)) else "another"


def _may_have(model: Model, name: str) -> bool:
    stored = {field.db_field for field in model._fields.values()}
    return name in stored or name in ("_cls", "$**") or bool(getattr(model, "_dynamic", False))
