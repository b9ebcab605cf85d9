"""After a rollback documents are what they were before the transaction, at any depth; what was
held of them still belongs to them; and the next save writes nothing of what was rolled back."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from ledger import Broken
from mongoengine import DynamicDocument, IntField, ListField, ReferenceField, StringField
from nested_documents import CHANGES, Leaf, Part, Tree, grown, shown, stored
from nested_documents import MODELS as NESTED
from places import up_to_date
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.documents import Document
from datalayer.settings import Settings


class Coin(Document):
    name = StringField(unique=True)
    scores = ListField(IntField())
    other = ReferenceField("Coin")


class Loose(Document, DynamicDocument):
    name = StringField()


MODELS = (*NESTED, Coin, Loose)


@pytest.fixture(autouse=True)
def read_from_the_primary(databases: Settings) -> Iterator[None]:
    with up_to_date():
        yield


def roll_back(*steps: Callable[[], Any]) -> None:
    def broken_transaction() -> None:
        with db.transaction():
            for step in steps:
                step()
            raise Broken

    with pytest.raises(Broken):
        broken_transaction()


def some(table: Any) -> list[Any]:
    """A sixth of the changes, or of their names."""
    return list(table.values() if isinstance(table, dict) else table)[::6]


def saved() -> Tree:
    return grown().save()


def loaded() -> Tree:
    grown().save()
    tree: Tree = Tree.objects.get()
    return tree


def noted_before() -> Tree:
    """Its fields are read for the first time after the transaction took note of it."""
    tree = loaded()
    tree._mark_as_changed("place")
    return tree


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_undone(change: Callable[[Any], Any]) -> None:
    tree = loaded()
    before = stored(Tree)
    roll_back(lambda: change(tree), tree.save)
    assert stored(Tree) == shown(tree) == before
    assert (tree._created, tree._changed_fields) == (False, [])


@pytest.mark.parametrize("change", some(CHANGES), ids=some([*CHANGES]))
def test_a_change_of_a_new_document_is_undone(change: Callable[[Any], Any]) -> None:
    tree = grown()
    before = shown(tree)
    roll_back(lambda: change(tree), tree.save)
    assert shown(tree) == before
    assert (tree.pk, tree._created) == (None, True)
    tree.save()
    assert Tree._get_collection().count_documents({}) == 1


@pytest.mark.parametrize("start", [saved, loaded, noted_before])
@pytest.mark.parametrize("change", some(CHANGES), ids=some([*CHANGES]))
def test_a_change_without_a_save_is_undone(
    change: Callable[[Any], Any], start: Callable[[], Tree]
) -> None:
    tree = start()
    before = stored(Tree)
    roll_back(lambda: change(tree))
    tree.lists["after"] = [1]
    tree.save()
    after = {**before, "lists": {"k": [1], "after": [1]}}
    assert {**stored(Tree), "ranks": before["ranks"]} == after
    assert {**shown(tree), "ranks": before["ranks"]} == after


HELD: dict[str, tuple[Callable[[Tree], Any], Callable[[Any, Any], Any]]] = {
    "a list": (lambda tree: tree.tags, lambda held, value: held.append(str(value))),
    "a list in a list": (lambda tree: tree.grid[1], lambda held, value: held.append(value)),
    "a list in a mapping": (
        lambda tree: tree.notes["l"][0],
        lambda held, value: held.append(value),
    ),
    "a mapping": (lambda tree: tree.notes, lambda held, value: held.update(value=value)),
    "a mapping in a list": (lambda tree: tree.rows[0], lambda held, value: held.update(v=value)),
    "a part": (lambda tree: tree.part, lambda held, value: setattr(held, "number", value)),
    "a list in a part": (lambda tree: tree.part.scores, lambda held, value: held.append(value)),
    "a mapping in a part": (lambda tree: tree.part.leaf.notes, lambda held, v: held.update(v=v)),
    "a part in a list": (lambda tree: tree.parts[1], lambda held, v: held.scores.append(v)),
    "a mapping in a dynamic field": (
        lambda tree: tree.free["x"],
        lambda held, v: held.update(v=v),
    ),
}


@pytest.mark.parametrize(("take", "change"), HELD.values(), ids=HELD)
@pytest.mark.parametrize("is_taken", ["before", "inside", "inside after a change"])
def test_what_is_held_still_belongs_to_the_document(
    take: Callable[[Tree], Any], change: Callable[[Any, Any], Any], is_taken: str
) -> None:
    tree = loaded()
    held = [take(tree)] if is_taken == "before" else []

    def use() -> None:
        if is_taken == "inside after a change":
            tree.lists = {}
        held.append(take(tree))
        change(held[0], 7)
        tree.save()

    before = stored(Tree)
    roll_back(use)
    assert shown(tree) == before
    assert take(tree) is held[0]
    change(held[0], 8)
    tree.save()
    assert stored(Tree) == shown(tree) != before


def test_a_rollback_needs_no_conversion_of_what_was_never_read() -> None:
    tree = loaded()
    roll_back(lambda: setattr(tree, "place", None), tree.save)
    assert {"grid", "notes", "parts", "tags"} <= {*tree._data.pending}
    assert shown(tree) == stored(Tree)


def test_a_part_without_a_document_is_what_it_was() -> None:
    leaf, tree = Leaf(number=1, scores=[1]), saved()

    def use() -> None:
        leaf.number = 2
        leaf.scores.append(2)
        tree.part.leaves.append(leaf)
        leaf.number = 3
        tree.save()

    roll_back(use)
    assert (leaf.number, leaf.scores) == (1, [1])
    assert len(tree.part.leaves) == 2


def test_a_part_of_a_document_that_is_gone_is_what_it_was() -> None:
    saved()
    part = Tree.objects.get().part
    gc.collect()
    roll_back(lambda: part.scores.append(3), lambda: setattr(part, "number", 9))
    assert (part.number, part.scores) == (1, [1, 2])


def test_a_part_that_moved_to_another_document_is_what_it_was() -> None:
    giver, taker = saved(), saved()
    part = giver.parts.pop(0)
    taker.parts.append(part)
    giver.save()
    taker.save()
    roll_back(lambda: part.scores.append(9))
    assert part.scores == [1, 2]
    roll_back(lambda: setattr(taker.parts[2], "number", 9), taker.save)
    assert part.number == 1


# New documents, and deleted ones


def coins() -> list[str]:
    return sorted(Coin.objects.scalar("name"))


INSERTS: dict[str, Callable[[list[Coin]], Any]] = {
    "insert of several": lambda coins: Coin.objects().insert(coins),
    "insert of one": lambda coins: [Coin.objects.insert(coin) for coin in coins],
    "insert that gives ids": lambda coins: Coin.objects.insert(coins, load_bulk=False),
    "save": lambda coins: [coin.save() for coin in coins],
    "save of what must be new": lambda coins: [coin.save(force_insert=True) for coin in coins],
}


@pytest.mark.parametrize("insert", INSERTS.values(), ids=INSERTS)
@pytest.mark.parametrize("again", INSERTS.values(), ids=INSERTS)
def test_an_inserted_document_is_new_again(
    insert: Callable[[list[Coin]], Any], again: Callable[[list[Coin]], Any]
) -> None:
    fresh = [Coin(name="a", scores=[1]), Coin(name="b")]
    roll_back(lambda: insert(fresh), lambda: fresh[0].scores.append(2))
    assert coins() == []
    assert [(coin.pk, coin._created, coin.scores) for coin in fresh] == [
        (None, True, [1]),
        (None, True, []),
    ]
    again(fresh)
    assert coins() == ["a", "b"]


def test_a_created_document_is_new_after_the_rollback() -> None:
    made: list[Coin] = []
    roll_back(lambda: made.append(Coin.objects.create(name="a")))
    made[0].save()
    assert coins() == ["a"]


def test_a_document_that_got_a_key_is_new_again() -> None:
    coin = Coin(name="a")
    roll_back(lambda: setattr(coin, "id", ObjectId()), coin.save)
    assert (coin.pk, coin._created) == (None, True)


def test_a_deleted_document_can_be_saved_again() -> None:
    coin = Coin(name="a", scores=[1]).save()
    roll_back(lambda: coin.scores.append(2), coin.save, coin.delete)
    assert coin.scores == [1]
    coin.scores.append(3)
    coin.save()
    assert Coin.objects.get().scores == [1, 3]


AGAIN: dict[str, Callable[[Coin], Any]] = {
    "modify": lambda coin: coin.modify(push__scores=2),
    "reload": lambda coin: (coin.scores.append(2), coin.save(), coin.reload()),
    "delete and insert": lambda coin: (coin.delete(), coin.save(force_insert=True)),
}


@pytest.mark.parametrize("change", AGAIN.values(), ids=AGAIN)
def test_what_the_database_changed_in_it_is_undone(change: Callable[[Coin], Any]) -> None:
    coin = Coin(name="a", scores=[1]).save()
    held = coin.scores
    roll_back(lambda: change(coin), lambda: coin.scores.append(9))
    assert coin.scores == [1]
    held.append(3)
    coin.save()
    assert Coin.objects.get().scores == [1, 3]


def test_documents_saved_by_a_cascade_are_what_they_were() -> None:
    inner = Coin(name="inner").save()
    outer = Coin(name="outer", other=inner).save()
    roll_back(lambda: outer.other.scores.append(1), lambda: outer.save(cascade=True))
    assert inner.scores == []
    inner.save()
    assert Coin.objects.get(name="inner").scores == []


def test_a_dynamic_document_is_what_it_was() -> None:
    loose = Loose(name="a", notes={"x": {"y": [1]}}, rows=[{"k": 1}]).save()
    loose = Loose.objects.get()
    fields = list(loose)

    def use() -> None:
        loose.notes["x"]["y"].append(2)
        loose.new = 5
        loose.rows.append(7)
        loose.save()
        loose.notes = 3
        del loose.rows
        loose.save()

    roll_back(use)
    assert shown(loose) == stored(Loose)
    assert list(loose) == fields
    assert not hasattr(loose, "new")
    assert loose.notes == {"x": {"y": [1]}}
    loose.notes["x"]["y"].append(3)
    loose.save()
    assert stored(Loose)["notes"] == {"x": {"y": [1, 3]}}


# A function that runs again


def transient() -> OperationFailure:
    labels = {"errorLabels": ["TransientTransactionError"], "code": 112}
    return OperationFailure("of the test", 112, labels)


@pytest.mark.parametrize("change", some(CHANGES), ids=some([*CHANGES]))
def test_each_attempt_meets_the_documents_as_they_were(change: Callable[[Any], Any]) -> None:
    tree = loaded()  # not among the function's arguments
    before = stored(Tree)
    met: list[Any] = []

    @db.transactional(attempts=3)
    def work() -> None:
        met.append(shown(tree) if met else before)
        change(tree)
        tree.save()
        if len(met) < 3:
            raise transient()

    work()
    assert met == [before] * 3
    after = stored(Tree)
    Tree._get_collection().replace_one({}, before)
    other = Tree.objects.get()
    change(other)
    other.save()
    assert stored(Tree) == after


def test_each_attempt_inserts_new_documents() -> None:
    fresh = [Coin(name="a"), Coin(name="b")]
    ids: list[Any] = []

    @db.transactional(attempts=3)
    def work() -> None:
        ids.append([coin.pk for coin in fresh])
        Coin.objects.insert(fresh)
        if len(ids) < 3:
            raise transient()

    work()
    assert ids == [[None, None]] * 3
    assert coins() == ["a", "b"]


def test_what_is_committed_stays() -> None:
    tree = loaded()
    with db.transaction():
        tree.rows[0]["in"]["l"].append(2)
        tree.part.leaf.notes["x"]["y"] = 5
        tree.parts.append(Part(number=9))
        tree.save()
    assert shown(tree) == stored(Tree)
    assert stored(Tree)["p"]["l"]["o"] == {"x": {"y": 5}}
    tree.part.leaf.notes["x"]["y"] = 6
    tree.save()
    assert stored(Tree)["p"]["l"]["o"] == {"x": {"y": 6}}
