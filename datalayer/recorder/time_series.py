"""Which measurements of a batch a time-series collection has already: it takes the same ``_id``
any number of times, so what was sent before is looked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import bson
from bson import Binary, DatetimeMS, Decimal128, ObjectId
from bson.codec_options import DatetimeConversion
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo import ReadPreference
from pymongo.read_concern import ReadConcern

from datalayer.documents.fields.bson_limits import ENCODING

_EXACT = DEFAULT_RAW_BSON_OPTIONS.with_options(datetime_conversion=DatetimeConversion.DATETIME_MS)
"""Times beyond Python's too; what is nested stays as it is."""
_VALUES = (str, int, float, bytes, ObjectId, Binary, UUID, DatetimeMS, Decimal128)
"""What ``$in`` takes for itself; a pattern or an operator would mean something else."""
_LONGEST_GAP_MS = 3600 * 1000
"""Times that lie further apart are looked up apart: one wrong clock is not to have the server read
all that is between."""

Sought = tuple[int, Any]
"""The time of a measurement, in milliseconds, and its ``_id``."""


def has_time(document: Any, time_field: str) -> bool:
    """Whether a document, BSON or a dict, says when it was measured. The server takes no other."""
    if type(document) is bytes:
        document = RawBSONDocument(document, _EXACT)
    return isinstance(document.get(time_field), (datetime, DatetimeMS))


def missing(collection: Any, time_field: str, documents: Sequence[Any]) -> list[Any]:
    """Those of ``documents``, BSON or dicts, that are not in the collection.

    Ids are the same when all of their bytes are: to the server 1 and 1.0 are one value, to Python
    ``True`` as well.
    """
    sought = [_sought(document, time_field) for document in documents]
    stored = _stored(collection, time_field, [each for each in sought if each is not None])
    left = []
    for document, each in zip(documents, sought, strict=True):
        key = None if each is None else _key(*each)
        if key is not None and stored[key]:
            stored[key] -= 1
        else:
            left.append(document)
    return left


def _sought(document: Any, time_field: str) -> Sought | None:
    # As the database has it: times cut to the millisecond.
    written = document if type(document) is bytes else bson.encode(document, False, ENCODING)
    raw = RawBSONDocument(written, _EXACT)
    moment = raw.get(time_field)
    return (int(moment), raw["_id"]) if isinstance(moment, DatetimeMS) else None


def _key(moment: int, identity: Any) -> bytes:
    return bson.encode({"_id": identity, "at": DatetimeMS(moment)})


def _stored(collection: Any, time_field: str, sought: list[Sought]) -> Counter[bytes]:
    # Where it was sent to, and all of it: another member may not have it yet.
    there = collection.with_options(
        codec_options=_EXACT,
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("local"),
    )
    found: Counter[bytes] = Counter()
    for run in _runs(sought):
        between = {"$gte": DatetimeMS(run[0][0]), "$lte": DatetimeMS(run[-1][0])}
        query = {time_field: between, "$or": _any_of([identity for _, identity in run])}
        for each in there.find(query, {"_id": True, time_field: True}):
            found[_key(int(each[time_field]), each["_id"])] += 1
    return found


def _runs(sought: list[Sought]) -> Iterator[list[Sought]]:
    run: list[Sought] = []
    for each in sorted(sought, key=lambda found: found[0]):
        if run and each[0] - run[-1][0] > _LONGEST_GAP_MS:
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _any_of(identities: list[Any]) -> list[dict[str, Any]]:
    """Finds documents of these ids, and perhaps others that the server takes to be equal."""
    values = [each for each in identities if isinstance(each, _VALUES)]
    others = [each for each in identities if not isinstance(each, _VALUES)]
    return [{"_id": {"$in": values}}, *({"_id": {"$eq": each}} for each in others)]
