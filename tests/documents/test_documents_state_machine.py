"""Documents under random changes, saves, loads, transactions and other people's writes hold, and
leave in the collection, what plain dictionaries say.

The suite takes a few hundred steps, always the same ones. For more, and others:
``DATALAYER_STATE_MACHINE_STEPS=20000 pytest -s tests/documents/test_documents_state_machine.py``
takes as many, with a seed that is printed; ``DATALAYER_STATE_MACHINE_SEED`` repeats one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest
from bson import ObjectId
from fresh_databases import connected, settings_for
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from mongoengine.errors import DoesNotExist, NotUniqueError
from pymongo.errors import OperationFailure
from random_changes import (
    DOCUMENTS,
    UNKNOWN,
    Choices,
    Fields,
    Part,
    as_stored,
    change,
    change_field,
    comparable,
    copied,
    item_of,
)

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import StaleDocumentError, TransactionError

STEPS = int(os.environ.get("DATALAYER_STATE_MACHINE_STEPS", "0"))
SEED = int(os.environ.get("DATALAYER_STATE_MACHINE_SEED", "0")) or secrets.randbits(32)
STEPS_OF_AN_EXAMPLE = 25
MOST_HANDLES = 4
LISTS = ("numbers", "grid", "pieces", "listed")
STAMPS = ("created_at", "updated_at")
PHASES = (Phase.generate, Phase.shrink)  # what failed before isn't kept


class Handle:
    """A document in memory, and what it should hold.

    ``saved`` is what it held when it was loaded or saved; ``loaded`` the names of the fields that
    it was loaded with, or ``None`` for all; ``foreign`` those that somebody else changed since.
    """

    def __init__(self, document: Any, kind: Part, values: Fields, key: Any) -> None:
        self.document = document
        self.kind = kind
        self.values = values
        self.saved = Fields() if key is None else copied(values)
        self.key = key
        self.loaded: set[str] | None = None
        self.foreign: set[str] = set()

    def state(self) -> dict[str, Any]:
        return {
            name: copied(v) for name, v in vars(self).items() if name not in ("document", "kind")
        }

    def changed(self) -> list[str]:
        return [
            name
            for name in {*self.values, *self.saved}
            if self.held(self.values, name) != self.held(self.saved, name)
        ]

    def held(self, values: Fields, name: str) -> Any:
        only = Fields({name: values[name]} if name in values else {})
        return as_stored(only, self.kind)


class Machine(RuleBasedStateMachine):
    """What users do with documents, one rule each."""

    def __init__(self) -> None:
        super().__init__()
        self.handles: list[Handle] = []
        self.stored: dict[str, dict[Any, Fields]] = {kind.model.__name__: {} for kind in DOCUMENTS}
        for kind in DOCUMENTS:
            raw(kind).delete_many({})

    # Documents come and go

    @precondition(lambda self: len(self.handles) < MOST_HANDLES)
    @rule(data=st.data())
    def construct(self, data: Any) -> None:
        choices = choices_of(data)
        kind = choices.of(DOCUMENTS)
        document, values = kind.fresh(choices)
        self.handles.append(Handle(document, kind, values, None))

    @precondition(lambda self: len(self.handles) < MOST_HANDLES)
    @rule(data=st.data())
    def load(self, data: Any) -> None:
        """Somebody reads a document, in full or only some of its fields."""
        choices = choices_of(data)
        known = [(kind, key) for kind in DOCUMENTS for key in self.store(kind)]
        if not known:
            return
        kind, key = choices.of(known)
        names = choices.some(kind.names, least=1)
        how = choices.below(4)
        found = kind.model.objects
        if how == 0:
            found, loaded = found.only(*names), set(names)
        elif how == 1:
            found, loaded = found.exclude(*names), {*kind.names} - {*names}
        else:
            loaded = {*kind.names, UNKNOWN}
        values = Fields({n: v for n, v in copied(self.store(kind)[key]).items() if n in loaded})
        handle = Handle(found.get(pk=key), kind, values, key)
        handle.loaded = loaded if how < 2 else None
        self.handles.append(handle)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def let_go(self, data: Any) -> None:
        self.handles.remove(choices_of(data).of(self.handles))

    # Changes and what is done with them

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def change_something(self, data: Any) -> None:
        choices = choices_of(data)
        self.do_change(choices.of(self.handles), choices)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def save(self, data: Any) -> None:
        self.do_save(choices_of(data).of(self.handles))

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def change_and_save(self, data: Any) -> None:
        choices = choices_of(data)
        handle = choices.of(self.handles)
        for _ in range(1 + choices.below(2)):
            self.do_change(handle, choices)
        self.do_save(handle)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def work(self, data: Any) -> None:
        choices = choices_of(data)
        self.do_something(choices)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def save_under_another_key(self, data: Any) -> None:
        """A primary key can't be changed; a document without one is a copy."""
        handle = choices_of(data).of(self.handles)
        if handle.key is None:
            return
        handle.document.id = ObjectId()
        if handle.changed():
            with pytest.raises(StaleDocumentError):
                handle.document.save()
        handle.document.id = None
        if handle.loaded is not None:
            with pytest.raises(StaleDocumentError):
                handle.document.save()
            handle.document.id = handle.key
        else:
            handle.document.save()
            self.note_inserted(handle)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def save_by_force(self, data: Any) -> None:
        handle = choices_of(data).of(self.handles)
        if handle.key is not None and handle.key in self.store(handle.kind):
            error: type[Exception] = NotUniqueError
        else:
            error = AssertionError
        if handle.loaded is not None:
            error = StaleDocumentError
        try:
            handle.document.save(force_insert=True)
        except error:
            return
        assert error is AssertionError
        self.note_inserted(handle)

    # Other people

    @rule(data=st.data())
    def somebody_changes(self, data: Any) -> None:
        choices = choices_of(data)
        known = [(kind, key) for kind in DOCUMENTS for key in self.store(kind)]
        if not known:
            return
        kind, key = choices.of(known)
        name = choices.of(kind.names)
        _, value = kind.kind_of(name).fresh(choices)
        if isinstance(kind.kind_of(name), Part) and choices.below(2):
            value[UNKNOWN] = 5
        field = kind.key_of(name)
        raw(kind).update_one({"_id": key}, {"$set": {field: written(value, kind, name)}})
        self.store(kind)[key][name] = in_order(value, kind, name)
        self.note_foreign(kind, key, name)

    @rule(data=st.data())
    def somebody_adds_what_the_class_does_not_know(self, data: Any) -> None:
        choices = choices_of(data)
        kind = DOCUMENTS[1]
        if self.store(kind):
            key = choices.of(self.store(kind))
            raw(kind).update_one({"_id": key}, {"$set": {UNKNOWN: [1]}})
            self.store(kind)[key][UNKNOWN] = [1]

    @rule(data=st.data())
    def somebody_deletes(self, data: Any) -> None:
        choices = choices_of(data)
        known = [(kind, key) for kind in DOCUMENTS for key in self.store(kind)]
        if known:
            kind, key = choices.of(known)
            raw(kind).delete_one({"_id": key})
            del self.store(kind)[key]

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def somebody_shortens_a_list_of_which_the_last_item_changes(self, data: Any) -> None:
        """What isn't there any more is not put behind nulls."""
        choices = choices_of(data)
        handle = choices.of(self.handles)
        stored = self.store(handle.kind).get(handle.key, Fields())
        names = [name for name in LISTS if len(stored.get(name, ())) > 1]
        if not names:
            return
        self.do_reload(handle)
        name = choices.of(names)
        field = handle.kind.key_of(name)
        raw(handle.kind).update_one({"_id": handle.key}, {"$pop": {field: 1}})
        stored[name].pop()
        self.note_foreign(handle.kind, handle.key, name)
        item, handle.values[name][-1] = item_of(handle.kind.kind_of(name)).fresh(choices)
        getattr(handle.document, name)[-1] = item
        handle.document.save()
        after = plain(raw(handle.kind).find_one({"_id": handle.key}))
        found = comparable(after, handle.kind)[field]
        mine = written(handle.values[name], handle.kind, name)
        assert found in (written(stored[name], handle.kind, name), mine)
        if found == mine:
            stored[name] = copied(handle.values[name])
        self.do_reload(handle)

    # Transactions

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), fails=st.booleans())
    def transaction(self, data: Any, fails: bool) -> None:
        choices = choices_of(data)
        with self.undone_if_raised(_Thrown), db.transaction():
            self.do_block(choices)
            if fails:
                raise _Thrown

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def transaction_with_a_failing_block_inside(self, data: Any) -> None:
        choices = choices_of(data)
        with self.undone_if_raised(TransactionError), db.transaction():
            self.do_block(choices)
            try:
                with db.transaction():
                    self.do_block(choices)
                    raise _Thrown
            except _Thrown:
                pass

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), fails_at_last=st.booleans())
    def transaction_that_is_repeated(self, data: Any, fails_at_last: bool) -> None:
        choices = choices_of(data)
        before = self.state()
        attempts: list[int] = []

        @db.transactional(attempts=2)
        def attempt() -> None:
            self.put_back(before)
            self.documents_hold_what_they_should()
            choices.rewind()
            attempts.append(1)
            self.do_block(choices)
            if len(attempts) == 1:
                raise transient()
            if fails_at_last:
                raise _Thrown

        with self.undone_if_raised(_Thrown):
            attempt()
        assert len(attempts) == 2

    @precondition(lambda self: any(h.key is None for h in self.handles))
    @rule(data=st.data(), fails=st.booleans())
    def insert_many_in_a_transaction(self, data: Any, fails: bool) -> None:
        kind = choices_of(data).of([h for h in self.handles if h.key is None]).kind
        fresh = [h for h in self.handles if h.key is None and h.kind is kind]
        with self.undone_if_raised(_Thrown), db.transaction():
            kind.model.objects.insert([handle.document for handle in fresh])
            for handle in fresh:
                handle.key = handle.document.pk
                self.note_saved(handle, [*handle.values])
            if fails:
                raise _Thrown

    # What must hold after each

    @invariant()
    def documents_hold_what_they_should(self) -> None:
        for handle in self.handles:
            shown = comparable(plain(handle.document.to_mongo()), handle.kind)
            key = shown.pop("_id", None)
            assert key == handle.key
            assert without_unknown(shown) == without_unknown(as_stored(handle.values, handle.kind))

    @invariant()
    def collections_hold_what_they_should(self) -> None:
        for kind in DOCUMENTS:
            found = {each.pop("_id"): each for each in raw(kind).find()}
            expected = {key: as_stored(values, kind) for key, values in self.store(kind).items()}
            assert {key: comparable(plain(each), kind) for key, each in found.items()} == expected

    # The steps that rules are made of

    def do_block(self, choices: Choices) -> None:
        for _ in range(1 + choices.below(3)):
            self.do_something(choices)

    def do_something(self, choices: Choices) -> None:
        handle = choices.of(self.handles)
        choices.of(
            (
                lambda: self.do_change(handle, choices),
                lambda: self.do_change(handle, choices),
                lambda: self.do_save(handle),
                lambda: self.do_save(handle),
                lambda: self.do_insert(handle),
                lambda: self.do_reload(handle),
                lambda: self.do_modify(handle, choices),
                lambda: self.do_delete(handle),
            )
        )()

    def do_change(self, handle: Handle, choices: Choices) -> None:
        name = choices.of(handle.kind.names)
        if name in handle.foreign:  # whose change wins is no matter of this machine
            self.do_reload(handle)
        is_gone = handle.key is not None and handle.key not in self.store(handle.kind)
        if is_gone and (name in handle.foreign or not handle_has(handle, name)):
            return
        if not handle_has(handle, name):
            if name in handle.kind.dynamic:  # a document can't know that it lacks it
                return
            stored = self.store(handle.kind)[handle.key]
            for values in (handle.values, handle.saved):
                if name in stored:
                    values[name] = copied(stored[name])
            assert handle.loaded is not None
            handle.loaded.add(name)
        if isinstance(handle.values.get(name), (list, dict)) and choices.below(4):
            held = getattr(handle.document, name)
            change(held, handle.values[name], handle.kind.kind_of(name), choices)
        else:
            change_field(handle.document, handle.values, handle.kind, name, choices)

    def do_save(self, handle: Handle) -> None:
        names = handle.changed()
        if handle.key is not None and handle.key not in self.store(handle.kind):
            told = pytest.raises(StaleDocumentError) if names else nullcontext()
            with suppress(StaleDocumentError), told:  # what was changed back may be told or not
                handle.document.save()
            return
        handle.document.save()
        if handle.key is None:
            handle.key = handle.document.pk
            names = [*handle.values]
        self.note_saved(handle, names)

    def note_inserted(self, handle: Handle) -> None:
        handle.key = handle.document.pk
        # A copy may lack what the class doesn't know: a document that was reloaded does.
        stored = raw(handle.kind).find_one({"_id": handle.key})
        if UNKNOWN not in stored:
            handle.values.pop(UNKNOWN, None)
        self.note_saved(handle, [*handle.values])

    def note_saved(self, handle: Handle, names: list[str]) -> None:
        stored = self.store(handle.kind).setdefault(handle.key, Fields())
        for name in names:
            stored.pop(name, None)
            if name in handle.values:
                stored[name] = in_order(copied(handle.values[name]), handle.kind, name)
        handle.saved = copied(handle.values)

    def note_foreign(self, kind: Part, key: Any, name: str) -> None:
        for handle in self.handles:
            if handle.kind is kind and handle.key == key:
                handle.foreign.add(name)

    def do_insert(self, handle: Handle) -> None:
        if handle.key is None:
            handle.kind.model.objects.insert(handle.document)
            handle.key = handle.document.pk
            self.note_saved(handle, [*handle.values])

    def do_reload(self, handle: Handle) -> None:
        stored = self.store(handle.kind).get(handle.key)
        if stored is None:
            with pytest.raises(DoesNotExist):
                handle.document.reload()
        else:
            handle.document.reload()
            self.note_reloaded(handle, stored)

    def note_reloaded(self, handle: Handle, stored: Fields) -> None:
        handle.values, handle.saved = copied(stored), copied(stored)
        handle.loaded = None
        handle.foreign = set()

    def do_modify(self, handle: Handle, choices: Choices) -> None:
        if handle.key is None:
            return
        count = choices.below(100)
        stored = self.store(handle.kind).get(handle.key)
        assert handle.document.modify(set__count=count) == (stored is not None)
        if stored is not None:
            stored["count"] = count
            self.note_reloaded(handle, stored)

    def do_delete(self, handle: Handle) -> None:
        if handle.key is not None:
            handle.document.delete()
            self.store(handle.kind).pop(handle.key, None)

    def store(self, kind: Part) -> dict[Any, Fields]:
        return self.stored[kind.model.__name__]

    @contextmanager
    def undone_if_raised(self, kind: type[Exception]) -> Iterator[None]:
        before = self.state()
        try:
            yield
        except kind:
            self.put_back(before)

    def state(self) -> tuple[Any, ...]:
        return copied(self.stored), [(handle, handle.state()) for handle in self.handles]

    def put_back(self, state: tuple[Any, ...]) -> None:
        self.stored = copied(state[0])
        for handle, values in state[1]:
            vars(handle).update(copied(values))


class _Thrown(Exception):
    """Ends a block."""


def handle_has(handle: Handle, name: str) -> bool:
    return handle.loaded is None or name in handle.loaded


def choices_of(data: Any) -> Choices:
    return Choices(lambda count: data.draw(st.integers(0, count - 1)))


def transient() -> OperationFailure:
    error = OperationFailure("made up", 112)
    error._add_error_label("TransientTransactionError")
    return error


def raw(kind: Part) -> Any:
    return registry.connection("default").database[kind.model._get_collection_name()]


def written(value: Any, kind: Part, name: str) -> Any:
    return as_stored(Fields({name: value}), kind).get(kind.key_of(name))


def in_order(value: Any, kind: Part, name: str) -> Any:
    """A value as a document that is loaded has it: a sorted list is sorted."""
    return sorted(value) if getattr(kind.kind_of(name), "is_sorted", False) else value


def plain(raw: Any) -> Any:
    """Without the classes of the driver, and without the time stamps."""
    if isinstance(raw, dict):
        return {key: plain(value) for key, value in raw.items() if key not in STAMPS}
    return [plain(each) for each in raw] if isinstance(raw, list) else raw


def without_unknown(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {key: without_unknown(value) for key, value in raw.items() if key != UNKNOWN}
    return [without_unknown(each) for each in raw] if isinstance(raw, list) else raw


@pytest.fixture
def collections(mongod: EmbeddedMongo) -> Iterator[None]:
    with connected(settings_for(mongod)):
        for kind in DOCUMENTS:
            kind.model.objects.first()
            raw(kind).insert_one({"_id": 0})
        yield


@pytest.mark.timeout(0 if STEPS else 300)
def test_documents_and_collections_hold_what_plain_dictionaries_say(collections: None) -> None:
    examples = STEPS // STEPS_OF_AN_EXAMPLE if STEPS else 20
    options = profile(
        max_examples=examples,
        stateful_step_count=STEPS_OF_AN_EXAMPLE,
        deadline=None,
        database=None,
        derandomize=not STEPS,
        suppress_health_check=list(HealthCheck),
        phases=PHASES,
        print_blob=False,
    )
    machine: Callable[[], Machine] = Machine
    if STEPS:
        print(f"DATALAYER_STATE_MACHINE_SEED={SEED}")
        machine = seed(SEED)(type("Machine", (Machine,), {}))
    run(machine, settings=options)
