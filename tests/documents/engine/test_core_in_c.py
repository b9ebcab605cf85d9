"""The part in C keeps its feet whatever happens around it: containers that change while it looks
into them, memory that can't be had, other interpreters in the process.

Each program runs in a process of its own, which may crash. ``tox -e sanitizers`` runs the same
under AddressSanitizer, which sees what goes well by chance.
"""

from __future__ import annotations

import gc
import os
import weakref
from importlib.util import find_spec
from typing import Any

import mongoengine as me
import pytest
from mongoengine.base.common import _document_registry
from paths import PROGRAMS
from running_programs import python
from twins import ENGINE, registered

from datalayer.documents import Document
from datalayer.documents.engine import core

BUILDS = ("compiled", "pure")
ACTIONS = (
    "copy_plainly", "copy_a_list", "load", "load_bytes", "read", "assign", "construct",
    "construct_and_mark", "write", "encode_natively", "validate", "look_for_changes", "compare",
    "check",
)  # fmt: skip
WITHOUT_MEMORY = (
    "copy", "copy_a_list", "read", "read_a_part", "load_bytes", "read_bytes", "split", "construct",
    "take_keywords", "write", "encode", "encode_what_the_driver_knows", "draw_ids", "mark_saved",
    "validate", "look_for_changes", "make_a_table",
)  # fmt: skip

compiled = pytest.mark.skipif(core is None, reason="of the part in C")


def run(program: str, *arguments: str, build: str = "compiled") -> tuple[list[str], str]:
    """The lines that a program printed, and its errors; what it freed is overwritten."""
    environment = {"PYTHONMALLOC": "debug", **os.environ}
    environment.pop("DATALAYER_PURE_PYTHON", None)
    if build == "pure":
        environment["DATALAYER_PURE_PYTHON"] = "1"
    done = python(PROGRAMS / program, *arguments, env=environment, timeout=600)
    said = done.stderr if done.returncode == 0 else f"{done.stderr}\nended with {done.returncode}"
    return done.stdout.splitlines(), said


@pytest.fixture(scope="module", params=BUILDS)
def survived(request: pytest.FixtureRequest) -> tuple[list[str], str]:
    if request.param == "compiled" and core is None:
        pytest.skip("of the part in C")
    return run("changing_meanwhile.py", "40", "1", build=request.param)


@pytest.mark.parametrize("action", ACTIONS)
def test_containers_may_change_while_they_are_looked_into(
    survived: tuple[list[str], str], action: str
) -> None:
    actions, said = survived
    assert action in actions, said


@pytest.fixture(scope="module")
def survived_without_memory() -> tuple[list[str], str]:
    if core is None or find_spec("_testcapi") is None:
        pytest.skip("of the part in C, with CPython's own tests")
    return run("without_memory.py")


@pytest.mark.parametrize("action", WITHOUT_MEMORY)
def test_memory_that_can_not_be_had_is_a_memory_error(
    survived_without_memory: tuple[list[str], str], action: str
) -> None:
    actions, said = survived_without_memory
    assert action in actions, said


@pytest.mark.skipif(
    find_spec("_interpreters") is None and find_spec("_xxsubinterpreters") is None,
    reason="this Python has no way to make interpreters",
)
@pytest.mark.parametrize("build", BUILDS)
def test_an_interpreter_leaves_those_beside_it_alone(build: str) -> None:
    if build == "compiled" and core is None:
        pytest.skip("of the part in C")
    said, errors = run("interpreters.py", build=build)
    assert (said, errors) == ([str(build == "compiled")] * 3, "")


WITHOUT_ITS_LOCK = """
import sys
sys._is_gil_enabled = lambda: False
from datalayer.documents.engine import is_compiled
print(is_compiled(), "datalayer.documents.engine._core" in sys.modules)
"""


def test_an_interpreter_without_its_lock_gets_the_python() -> None:
    done = python("-c", WITHOUT_ITS_LOCK)
    assert (done.stdout, done.stderr) == ("False False\n", "")


class Unhashable(type):
    __hash__ = None  # type: ignore[assignment]


class Strange(metaclass=Unhashable):
    pass


@compiled
def test_a_class_is_not_asked_whether_it_is_known() -> None:
    assert core.plain_copy([Strange()]) is None
    assert core.weight_of({"a": Strange()}) == -1


class Endless(ENGINE.embedded):
    name = me.StringField()
    inner = me.EmbeddedDocumentField("self")


def test_a_document_within_itself_is_an_error_and_no_crash() -> None:
    document = Endless(name="a")
    document._data["inner"] = document
    for look in (document.to_mongo, document._get_changed_fields, document.validate):
        with pytest.raises(RecursionError):
            look()


def test_a_class_that_nobody_knows_any_more_goes_with_its_table() -> None:
    def used() -> weakref.ref[Any]:
        part = ENGINE.part("Passing", {"inner": me.EmbeddedDocumentField("self")})
        with registered(part):
            document = part._from_son({"inner": {"inner": {}}})
            assert part(inner=document.inner).to_mongo() == {"inner": {"inner": {}}}
        del _document_registry["Passing"]
        return weakref.ref(part)

    went = used()
    gc.collect()
    assert went() is None


class Plain(Document):
    name = me.StringField()


def table(**changed: Any) -> Any:
    given: dict[str, Any] = {
        "fields": (), "model": Plain, "class_name": "Plain", "converters": {}, "finish": None,
        "missing": None, "allowed": frozenset(), "read_otherwise": None,
        "construct_otherwise": None, "receivers": (), "prefix": None, "keys": None,
        "is_embedded": False, "id_first": False,
    }  # fmt: skip
    return core.Table(**{**given, **changed})


@compiled
@pytest.mark.parametrize(
    "wrong",
    [
        {"model": int},
        {"is_embedded": True},
        {"receivers": (1,)},
        {"keys": ["name"]},
        {"allowed": {"name"}},
        {"fields": ("name",)},
    ],
    ids=str,
)
def test_a_table_of_anything_else_than_a_class_of_documents_is_refused(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(TypeError):
        table(**wrong)


@compiled
def test_the_core_is_set_up_once() -> None:
    slots = (1,) * 9
    with pytest.raises(ValueError, match="once"):
        core.set_up(slots, Plain, dict, {}, (), (), (), None, None, None, int)
