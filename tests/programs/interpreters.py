"""Uses documents in the first interpreter of the process while others come, use documents of
their own, and go, as mod_wsgi has them. Prints what each found out about its part in C."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

try:
    import _interpreters  # Python 3.13

    def begin() -> Any:
        return _interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as _interpreters

    def begin() -> Any:
        return _interpreters.create(isolated=False)


SUPPORT = str(Path(__file__).resolve().parents[1] / "support")
USE = (
    f"""
import sys
sys.path.insert(0, {SUPPORT!r})
"""
    + """
import mongoengine as me
from bson import decode, encode
from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.engine import is_compiled

if is_compiled():
    from loading_bytes import from_bytes
else:
    def from_bytes(model, raw):
        return model._from_son(decode(raw))

class Part(EmbeddedDocument):
    n = me.IntField()

class Whole(Document):
    name = me.StringField()
    tags = me.ListField(me.StringField())
    part = me.EmbeddedDocumentField(Part)
    parts = me.EmbeddedDocumentListField(Part)
    free = me.DictField()

def use():
    made = Whole(name="a", tags=["x"], part=Part(n=1), parts=[Part(n=2)], free={"a": [1]})
    made.validate()
    raw = encode(made.to_mongo())
    check(from_bytes(Whole, raw))
    check(Whole._from_son(decode(raw)))

def check(read):
    assert (read.part.n, read.parts[0].n, read.tags, read.free) == (1, 2, ["x"], {"a": [1]})
    read.name, read.part.n = "b", 5
    assert read._get_changed_fields() == ["name", "part.n"]

use()
print(is_compiled(), flush=True)
"""
)


def run(interpreter: Any, program: str) -> None:
    failed = _interpreters.run_string(interpreter, program)
    assert failed is None, failed


exec(USE, globals())
one, other = begin(), begin()
run(one, USE)
run(other, USE)
globals()["use"]()
run(one, "use()")
_interpreters.destroy(one)
globals()["use"]()
run(other, "use()")
_interpreters.destroy(other)
gc.collect()
globals()["use"]()
