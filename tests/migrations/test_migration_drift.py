"""What is written into a migration's file from what was found: pure functions."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from datalayer.documents import utc_now
from datalayer.indexes import ChangedIndex, ChangedOption, CollectionDiff, Index
from datalayer.migrations.drift import Drift, UnknownField, draft
from datalayer.migrations.drift.guesses import new_name
from datalayer.schema import Finding


def found(
    path: str, rule: str, documents: int = 3, detail: str = "", collection: str = "users"
) -> Finding:
    return Finding("default", "db", collection, path, rule, "keyword", documents, (), detail)


def unknown(path: str = "login", documents: int = 3, **lacking: int) -> UnknownField:
    """A string that documents have, beside strings that the model has."""
    wanted = dict.fromkeys(lacking, frozenset({"string", "null"}))
    types = frozenset({"string"})
    return UnknownField("default", "users", path, documents, types, lacking, wanted)


def drafted(*findings: Finding, **more: Any) -> str:
    return draft("Tidy up", Drift(findings, **more))


def with_indexes(**different: Any) -> str:
    return drafted(differences=(CollectionDiff("default", "users", True, **different),))


def statements(text: str, function: str = "apply") -> list[str]:
    """What the file does, without comments and docstrings."""
    body = next(
        each.body
        for each in ast.parse(text).body
        if isinstance(each, ast.FunctionDef) and each.name == function
    )
    return [ast.unparse(each) for each in body[1:]]


def comments(text: str) -> str:
    lines = [line.strip().removeprefix("#").strip() for line in text.splitlines() if "#" in line]
    return " ".join(lines)


# What was perhaps renamed


@pytest.mark.parametrize(
    ("field", "missing", "guess"),
    [
        (unknown(user_name=3), {"user_name"}, "user_name"),
        (unknown(user_name=2), {"user_name"}, None),  # one document has both
        (unknown(login_name=3), set(), "login_name"),
        (unknown(motto=3), set(), None),  # optional, and called quite otherwise
        (unknown(motto=3, user_name=3), {"user_name"}, "user_name"),
        (unknown(user_name=3, login_name=3), {"user_name", "login_name"}, "login_name"),
        (unknown(), set(), None),
    ],
)
def test_a_field_was_perhaps_renamed(
    field: UnknownField, missing: set[str], guess: str | None
) -> None:
    assert new_name(field, missing) == guess


def test_a_field_of_another_type_is_no_new_name() -> None:
    field = UnknownField(
        "default", "users", "age", 3, frozenset({"string"}), {"age_years": 3},
        {"age_years": frozenset({"int", "long"})},
    )  # fmt: skip
    assert new_name(field, {"age_years"}) is None


def test_a_number_fits_any_number() -> None:
    field = UnknownField(
        "default", "users", "age", 3, frozenset({"int", "null"}), {"age_years": 3},
        {"age_years": frozenset({"number"})},
    )  # fmt: skip
    assert new_name(field, set()) == "age_years"


# Fields


def test_a_guess_is_a_comment_with_its_way_back() -> None:
    text = drafted(
        found("login", "unknown_field"), found("user_name", "missing"),
        unknown=(unknown(user_name=3),),
    )  # fmt: skip
    assert (statements(text), statements(text, "undo")) == ([], [])
    assert '# m.rename_field("users", "login", "user_name")' in text
    assert '# m.rename_field("users", "user_name", "login")' in text
    assert '3 documents have "login", which the model doesn\'t know' in comments(text)


def test_a_field_that_is_not_renamed_is_removed_and_kept_for_the_way_back() -> None:
    text = drafted(found("colour", "unknown_field", 1200), unknown=(unknown("colour", 1200),))
    assert statements(text) == ["m.remove_field('users', 'colour')"]
    assert statements(text, "undo") == ["m.restore_field('users', 'colour')"]
    assert '1,200 documents have "colour"' in comments(text)


def test_a_newly_required_field_gets_its_default() -> None:
    default = {("default", "users", "country"): "CH"}
    text = drafted(found("country", "missing", 1), defaults=default)
    assert statements(text) == ["m.set_default('users', 'country', 'CH')"]
    assert '1 document lacks "country", which the model requires' in comments(text)


@pytest.mark.parametrize(("total", "back"), [(3, ["m.remove_field('users', 'country')"]), (4, [])])
def test_a_default_is_taken_back_where_no_document_had_a_value(
    total: int, back: list[str]
) -> None:
    text = drafted(
        found("country", "missing"),
        defaults={("default", "users", "country"): "CH"},
        totals={("default", "users"): total},
    )
    assert statements(text, "undo") == back
    assert 'm.remove_field("users", "country")' in text


@pytest.mark.parametrize("defaults", [{}, {("default", "users", "at"): utc_now}])
def test_without_a_plain_default_a_person_has_to_say_it(defaults: Any) -> None:
    text = drafted(found("at", "missing"), defaults=defaults)
    assert statements(text) == []
    assert '# m.set_default("users", "at", ...)' in text


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (True, "True"),
        (3, "3"),
        (0.5, "0.5"),
        ([], "[]"),
        ({"a": [1]}, "{'a': [1]}"),
        ("'\"\n", r"""'\'"\n'"""),
    ],
)
def test_a_default_is_written_as_it_is(value: Any, literal: str) -> None:
    text = drafted(found("x", "missing"), defaults={("default", "users", "x"): value})
    assert statements(text) == [f"m.set_default('users', 'x', {literal})"]


def test_a_value_of_another_type_is_converted_by_a_function_of_the_file() -> None:
    text = drafted(found("age", "wrong_type", detail="int, long, null"))
    assert statements(text) == ["m.convert('users', 'age', to_int)"]
    assert statements(text, "undo") == ["m.restore_field('users', 'age')"]
    assert "another type than int, long, null" in comments(text)
    assert "def to_int(value: object)" in text


def test_a_function_that_two_fields_need_is_there_once() -> None:
    text = drafted(found("a", "wrong_type", detail="long"), found("b", "wrong_type", detail="int"))
    assert text.count("def to_int") == 1


def test_a_type_that_needs_a_function_of_ones_own_is_a_comment() -> None:
    text = drafted(found("at", "wrong_type", detail="date"))
    assert statements(text) == []
    assert '# m.convert("users", "at", ...)' in text


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (found("lines[].sku", "missing"), 'missing "lines[].sku"'),
        (found("_id", "wrong_type", detail="objectId"), "m.transfer() brings documents"),
        (found("*", "unknown_field"), 'unknown field "*"'),
        (found("state", "not_a_choice", detail="a, b"), 'not a choice in "state" (a, b)'),
        (found("owner", "dangling_reference"), 'dangling reference in "owner"'),
    ],
)  # fmt: skip
def test_what_takes_thought_is_a_comment(finding: Finding, words: str) -> None:
    text = drafted(finding)
    assert statements(text) == []
    assert words in comments(text)


# Indexes


def test_a_missing_index_is_built() -> None:
    index = Index("a_1_b_-1", (("a", 1), ("b", -1)), {"unique": True})
    text = with_indexes(missing=(index,))
    assert statements(text) == [
        "m.build_index('users', [('a', 1), ('b', -1)], name='a_1_b_-1', unique=True)"
    ]
    assert statements(text, "undo") == ["m.drop_index('users', 'a_1_b_-1')"]


def test_a_text_index_is_left_to_sync() -> None:
    index = Index("words", (("_fts", "text"),), {"weights": {"a": 1}})
    text = with_indexes(missing=(index,))
    assert statements(text) == []
    assert "`datalayer indexes sync` builds it" in comments(text)


def test_an_unknown_index_is_hidden_and_not_dropped() -> None:
    text = with_indexes(unknown=(Index("old_1", (("old", 1),)),))
    assert statements(text) == ["m.hide_index('users', 'old_1')"]
    assert statements(text, "undo") == ["m.unhide_index('users', 'old_1')"]


def test_an_index_that_is_hidden_already_is_a_comment() -> None:
    text = with_indexes(unknown=(Index("old_1", (("old", 1),), {"hidden": True}),))
    assert statements(text) == []
    assert "`datalayer indexes drop` drops it" in comments(text)


def test_a_changed_index_is_a_comment() -> None:
    change = ChangedIndex(Index("a_1", (("a", 1),), {"unique": True}), Index("a_1", (("a", 1),)))
    text = with_indexes(changed=(change,))
    assert statements(text) == []
    assert '# m.build_index("users", [("a", 1)], name="a_1", unique=True)' in text


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (CollectionDiff("default", "users", exists=False), "isn't there yet"),
        (
            CollectionDiff(
                "default", "users", True, options=(ChangedOption("validator", {"a": 1}, None),)
            ),
            'The collection\'s "validator" differs',
        ),
    ],
)
def test_what_is_no_step_is_a_comment(difference: CollectionDiff, words: str) -> None:
    text = drafted(differences=(difference,))
    assert statements(text) == []
    assert words in comments(text)


# The file


def test_undoing_is_in_the_opposite_order() -> None:
    text = drafted(found("a", "unknown_field"), found("b", "unknown_field"))
    assert statements(text) == ["m.remove_field('users', 'a')", "m.remove_field('users', 'b')"]
    assert statements(text, "undo") == [
        "m.restore_field('users', 'b')",
        "m.restore_field('users', 'a')",
    ]


def test_a_collection_of_another_alias_is_named_with_it() -> None:
    finding = Finding("database1", "db", "visits", "x", "unknown_field", "k", 1, (), "")
    assert statements(drafted(finding)) == ["m.remove_field(('database1', 'visits'), 'x')"]


def test_no_name_breaks_out_of_its_place() -> None:
    odd = 'x"); import os; os.remove("\n    m.drop("\\'
    text = draft(
        'Odd """ \\ title',
        Drift((found(odd, "unknown_field"), found(odd, "not_a_choice", detail=odd))),
    )
    assert statements(text) == [f"m.remove_field('users', {odd!r})"]


def test_nothing_found_makes_an_empty_migration() -> None:
    text = drafted()
    assert (statements(text), statements(text, "undo")) == ([], [])
