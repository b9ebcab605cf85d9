"""The tasks: those of MongoDB's ODM benchmark 1.0, and ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["BEST_BATCH", "INDEXES", "TASKS", "Kind", "Task"]

Kind = Literal["small", "small_fk", "large", "nested"]

BEST_BATCH = "pymongo-best-batch"
"""PyMongo again, with the batch size that suits the task best; it has tasks of lists only."""

# Built for all libraries alike: searches without an index would measure the server.
INDEXES: dict[Kind, tuple[str, ...]] = {
    "small": (),
    "small_fk": ("field_fk",),
    "large": (),
    "nested": ("embedded_str_doc_1.unique_id", "embedded_str_doc_array.unique_id"),
}


@dataclass(frozen=True)
class Task:
    """One task.

    Arguments:
        name: how the command line, the JSON and the workers call it.
        title: how the table calls it.
        kind: which documents it works on; also the name of their collection.
        bytes_each: its size in bytes per document, which the specification's scores rest on.
        filled: it works on documents that are there, rather than on an empty collection.
        most: the most documents of an iteration.
        least: the fewest; as many as it takes for the documents to outweigh the round trip.
        documents: an iteration has just so many; without it, as many as there is time for.
        rounds: the fewest iterations. The specification has 10; the median of so few short ones
            is noise here.
        weight: how many parts of the time it gets.
        batched: it reads documents that come in batches.
        added: it is ours, not the specification's.
    """

    name: str
    title: str
    kind: Kind
    bytes_each: int
    filled: bool = True
    most: int = 10_000
    least: int = 20
    documents: int | None = None
    rounds: int = 30
    weight: int = 1
    batched: bool = False
    added: bool = False

    def megabytes(self, documents: int) -> float:
        """The size of one iteration in MB (10⁶ bytes)."""
        return self.bytes_each * documents / 1e6

    def suits(self, library: str) -> bool:
        """Whether the library has this task."""
        return self.batched or library != BEST_BATCH


# The sizes are the specification's: source files of 250, 3,226,020 and 8,000 bytes, and 13 bytes
# for `updated_value`. Its 10,000 large documents would be 24 GB of memory for each library.
_SMALL, _LARGE, _NESTED, _VALUE = 250, 3_226_020, 8_000, 13


def _list(
    name: str, title: str, kind: Kind, size: int, least: int, documents: int | None = None
) -> Task:
    task = Task(name, title, kind, size, least=least, batched=True, added=True)
    if documents is None:
        return task
    # An iteration of all libraries takes ten seconds and more.
    return replace(task, documents=documents, rounds=5, weight=4)


TASKS: tuple[Task, ...] = (
    Task("small_create", "small: create", "small", _SMALL, filled=False),
    Task("small_update", "small: update", "small", _VALUE),
    Task("small_find", "small: find by filter", "small", _SMALL),
    Task("small_find_foreign_key", "small: find by foreign key", "small_fk", _SMALL),
    Task("large_create", "large: create", "large", _LARGE, filled=False, most=100, least=3),
    Task("large_update", "large: update", "large", _VALUE, most=100, least=3),
    Task("nested_create", "nested: create", "nested", _NESTED, filled=False),
    Task("nested_update", "nested: update nested", "nested", _VALUE),
    Task("nested_find", "nested: find nested", "nested", _NESTED),
    Task("nested_find_array", "nested: find nested array", "nested", _NESTED),
    _list("small_list", "small: list, read a field", "small", _SMALL, least=200),
    _list(
        "small_list_many",
        "small: list of 100,000, read a field",
        "small",
        _SMALL,
        least=200,
        documents=100_000,
    ),
    _list("nested_list", "nested: list, read a field", "nested", _NESTED, least=100),
    _list(
        "nested_list_many",
        "nested: list of 10,000, read a field",
        "nested",
        _NESTED,
        least=100,
        documents=10_000,
    ),
    _list("nested_list_every", "nested: list, read all fields", "nested", _NESTED, least=100),
    Task(
        "small_insert", "small: bulk insert", "small", _SMALL, filled=False, least=200, added=True
    ),
    Task(
        "nested_insert",
        "nested: bulk insert",
        "nested",
        _NESTED,
        filled=False,
        least=50,
        added=True,
    ),
    Task("nested_read_field", "nested: find, read a field", "nested", _NESTED, added=True),
    Task("nested_update_list", "nested: update in a list", "nested", _VALUE, added=True),
)
