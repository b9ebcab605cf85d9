"""Keys of one database that applications had before: none of them is read. Those that changed what
the application does are told of, so that it doesn't do something else without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from datalayer.settings.parsing import Given
from datalayer.settings.value_types import TRUE

FLAT_KEYS = frozenset(
    f"MONGODB_{name}"
    for name in (
        "ALIAS", "CONNECT", "DB", "HOST", "IS_MOCK", "NAME", "PASSWORD", "PORT", "TZ_AWARE",
        "USERNAME",
    )
)  # fmt: skip
"""The keys that flask-mongoengine took from ``app.config`` directly."""


def unheeded(found: Mapping[str, Given]) -> Iterator[str]:
    """What to write in the place of keys that say something else than what is done.

    ``MONGODB_CONNECT`` says nothing: who connects when is no matter of the settings here.
    """
    mock, aware = found.get("MONGODB_IS_MOCK"), found.get("MONGODB_TZ_AWARE")
    uri = found.get("MONGODB_URI")
    is_mock = uri is not None and uri.text.strip().startswith("mongomock://")
    if mock is not None and _is_true(mock) and not is_mock:
        yield "MONGODB_IS_MOCK is not read; write MONGODB_URI=mongomock://NAME"
    if aware is not None and not _is_true(aware) and not _says(uri, "tz_aware"):
        yield (
            "MONGODB_TZ_AWARE is not read, and times are read with their zone; where they are to "
            "be naive, write tz_aware=false into MONGODB_URI: mongodb://host/name?tz_aware=false"
        )


def _is_true(given: Given) -> bool:
    return given.text.strip().lower() in TRUE


def _says(uri: Given | None, option: str) -> bool:
    return uri is not None and f"{option}=" in uri.text.lower()
