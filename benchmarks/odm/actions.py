"""The timed loop of each task, the same for all libraries, and the check of what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks.odm.data import document, fresh
from benchmarks.odm.libraries.base import Library
from benchmarks.odm.tasks import Kind, Task

__all__ = ["ACTIONS", "Action", "Stored"]

Stored = Any  # the task's collection, as PyMongo sees it


@dataclass(frozen=True)
class Action:
    """A task that is ready to run.

    Arguments:
        run: the timed part of one iteration, given its number.
        check: raises AssertionError unless the iteration of this number did its work; not timed.
    """

    run: Callable[[int], None]
    check: Callable[[int], None]


def _create(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    sources = [fresh(task.kind) for _ in range(documents)]
    create, kind = library.create, task.kind

    def run(iteration: int) -> None:
        for source in sources:
            create(kind, source)

    return Action(run, lambda iteration: _check_contents(stored, sources))


def _insert(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    sources = [fresh(task.kind) for _ in range(documents)]

    def run(iteration: int) -> None:
        library.insert(task.kind, sources)

    return Action(run, lambda iteration: _check_contents(stored, sources))


def _update(
    library: Library, task: Task, stored: Stored, change: Callable[[Any, str], None], path: str
) -> Action:
    instances = list(library.all(task.kind))

    def run(iteration: int) -> None:
        value = f"updated_value{iteration}"  # a new one each time, or nothing would change
        for instance in instances:
            change(instance, value)

    def check(iteration: int) -> None:
        changed = stored.count_documents({path: f"updated_value{iteration}"})
        _equal(changed, len(instances), f"documents with the new value of {path}")
        _equal(stored.count_documents({}), len(instances), "documents")

    return Action(run, check)


def _update_field(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    return _update(library, task, stored, library.update, "field1")


def _update_embedded(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    path = "embedded_str_doc_1.field1"
    return _update(library, task, stored, library.update_embedded, path)


def _update_in_list(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    path = "embedded_str_doc_array.0.field1"
    return _update(library, task, stored, library.update_in_list, path)


def _find(
    library: Library, keys: Sequence[Any], search: Callable[[Any], Any], *path: str | int
) -> Action:
    def run(iteration: int) -> None:
        for key in keys:
            search(key)

    def check(iteration: int) -> None:
        for key in keys:
            found = search(key)
            _equal(library.value(found, *path), key, "the value searched for")

    return Action(run, check)


def _find_by_id(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    return _find(library, _keys(stored, "_id"), library.find, "id")


def _find_by_foreign_key(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    keys = [getattr(key, "id", key) for key in _keys(stored, "field_fk")]
    return _find(library, keys, library.find_by_foreign_key, "field_fk")


def _find_by_embedded(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    keys = [part["unique_id"] for part in _keys(stored, "embedded_str_doc_1")]
    return _find(library, keys, library.find_by_embedded, "embedded_str_doc_1", "unique_id")


def _find_by_array(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    keys = [parts[0]["unique_id"] for parts in _keys(stored, "embedded_str_doc_array")]
    return _find(library, keys, library.find_by_array, "embedded_str_doc_array", 0, "unique_id")


def _list(read: Callable[[], list[Any]], expected: list[Any]) -> Action:
    def check(iteration: int) -> None:
        _equal(read(), expected, "the values read")

    return Action(lambda iteration: _dropped(read()), check)


def _list_small(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    return _list(library.list_small, [document("small")["field1"]] * documents)


def _list_nested(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    expected = [document("nested")["embedded_str_doc_1"]["field1"]] * documents
    return _list(library.list_nested, expected)


def _list_every_field(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    read = library.every_field_reader()
    last = list(list(document("nested").values())[-1].values())[-1]

    def run(iteration: int) -> None:
        for each in library.all("nested"):
            read(each)

    def check(iteration: int) -> None:
        _equal([read(each) for each in library.all("nested")], [last] * documents, "last values")
        for each in islice(library.all("nested"), 3):
            _check_every_field(library, each)

    return Action(run, check)


def _read_field(library: Library, task: Task, stored: Stored, documents: int) -> Action:
    keys, read = _keys(stored, "_id"), library.read_embedded
    expected = document("nested")["embedded_str_doc_1"]["field1"]

    def run(iteration: int) -> None:
        for key in keys:
            read(key)

    def check(iteration: int) -> None:
        _equal([read(key) for key in keys], [expected] * documents, "the values read")

    return Action(run, check)


ACTIONS: dict[str, Callable[[Library, Task, Stored, int], Action]] = {
    "small_create": _create,
    "small_update": _update_field,
    "small_find": _find_by_id,
    "small_find_foreign_key": _find_by_foreign_key,
    "large_create": _create,
    "large_update": _update_field,
    "nested_create": _create,
    "nested_update": _update_embedded,
    "nested_find": _find_by_embedded,
    "nested_find_array": _find_by_array,
    "small_list": _list_small,
    "small_list_many": _list_small,
    "nested_list": _list_nested,
    "nested_list_many": _list_nested,
    "nested_list_every": _list_every_field,
    "small_insert": _insert,
    "nested_insert": _insert,
    "nested_read_field": _read_field,
    "nested_update_list": _update_in_list,
}


def _keys(stored: Stored, name: str) -> list[Any]:
    return [each[name] for each in stored.find({}, [name])]


def _check_contents(stored: Stored, sources: Sequence[dict[str, Any]]) -> None:
    _equal(stored.count_documents({}), len(sources), "documents")
    for source, written in zip(sources, stored.find(sort=[("_id", 1)]), strict=True):
        del written["_id"]
        _equal(written, source, "the document written")


def _check_every_field(library: Library, instance: Any) -> None:
    kind: Kind = "nested"
    for name, part in document(kind).items():
        for place, expected in enumerate(part if isinstance(part, list) else [part]):
            path = (name, place) if isinstance(part, list) else (name,)
            found = {field: library.value(instance, *path, field) for field in expected}
            _equal(found, expected, f"the fields of {name}")


def _dropped(values: object) -> None:
    """Forget what was read."""


def _equal(found: object, expected: object, what: str) -> None:
    if found != expected:
        shown = f": {found!r} instead of {expected!r}"
        raise AssertionError(f"wrong: {what}{shown if len(shown) < 300 else ''}")
