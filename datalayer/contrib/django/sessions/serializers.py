"""What a session may hold besides what JSON knows. Nothing here reads pickles, which run code."""

from __future__ import annotations

from typing import Any

from bson import json_util

from datalayer.documents.extended_json import JSON_OPTIONS


class BSONSerializer:
    """For ``SESSION_SERIALIZER``: ids, points in time, UUIDs and decimals of BSON besides JSON's
    values, as MongoDB's relaxed Extended JSON."""

    def dumps(self, obj: Any) -> bytes:
        """The session's values as text.

        Raises:
            TypeError: for what is neither JSON's nor BSON's.
        """
        return json_util.dumps(
            obj, json_options=JSON_OPTIONS, separators=(",", ":"), ensure_ascii=True
        ).encode("ascii")

    def loads(self, data: bytes) -> Any:
        """The session's values again."""
        return json_util.loads(data.decode("ascii"), json_options=JSON_OPTIONS)
