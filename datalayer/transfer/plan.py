"""What a transfer is to do, as a value: written to the journal before anything else, and never
changed afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from bson import json_util

from datalayer.transfer.codecs import CANONICAL, EXTENDED_JSON

Conflicts = Literal["fail", "skip", "replace"]
"""What to do about a document that the target holds already, under the same ``_id``."""
Method = Literal["merge", "copy"]
"""``merge``: the server copies by itself, within a cluster. ``copy``: the documents pass through
this process, undecoded."""


@dataclass(frozen=True)
class Part:
    """One collection of a transfer."""

    source: str
    target: str
    filter: Mapping[str, Any]
    count: int
    """How many documents there were when the plan was made."""
    size_bytes: int
    """How much they take, estimated from the collection's average."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the source collection: validator, collation, time series, capped size."""
    indexes: tuple[Mapping[str, Any], ...] = ()
    """The indexes of the source but that on ``_id``, as ``listIndexes`` tells of them."""


@dataclass(frozen=True)
class Plan:
    """A transfer, checked against both databases. Made by ``plan``, carried out by ``run``.

    ``fields`` says for a target's field which source field it comes from, or ``None`` to leave
    the field out; ``constants`` are set in every document; ``transform`` and ``inverse`` name
    functions as ``module:function``. ``rate`` is in documents a second, ``max_lag_seconds`` how
    far the target's secondaries may be behind, and ``lease_seconds`` how long a runner that has
    died keeps others out. ``snapshot`` reads the source as it was when the run began, and
    ``follow`` carries changes over until the cut-over.
    """

    name: str
    source: str
    target: str
    parts: tuple[Part, ...]
    move: bool = False
    conflicts: Conflicts = "fail"
    method: Method = "copy"
    fields: Mapping[str, str | None] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    transform: str | None = None
    inverse: str | None = None
    carry_options: bool = True
    batch_size: int = 5000
    rate: float | None = None
    max_lag_seconds: float | None = None
    lease_seconds: float = 30.0
    recipe: str | None = None
    snapshot: bool = False
    follow: bool = False

    @property
    def reshapes(self) -> bool:
        """Whether documents look different in the target."""
        return bool(self.fields or self.constants or self.transform)

    @property
    def count(self) -> int:
        """How many documents there were to transfer when the plan was made."""
        return sum(part.count for part in self.parts)

    @property
    def checksum(self) -> str:
        """Tells whether two plans are the same."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The plan as canonical Extended JSON, which keeps every BSON type."""
        return json_util.dumps(asdict(self), json_options=CANONICAL)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: where it is none, or says what this version doesn't
                know: a later one means something by it.
        """
        stored = json_util.loads(text, json_options=CANONICAL)
        unknown = set(stored) - {each.name for each in fields(cls)}
        if unknown:
            raise ValueError(f"a later version's: {sorted(unknown)}")
        parts = (Part(**{**part, "indexes": tuple(part["indexes"])}) for part in stored["parts"])
        return cls(**{**stored, "parts": tuple(parts)})

    def of_recipe(self, recipe: str) -> Plan:
        """This plan, marked as made by ``recipe``."""
        return replace(self, recipe=recipe)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        text = json_util.dumps(asdict(self), json_options=EXTENDED_JSON)
        shown: dict[str, Any] = json.loads(text)
        return {**shown, "count": self.count, "checksum": self.checksum}
