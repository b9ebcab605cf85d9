"""The settings of the recorder, as a value."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datalayer.errors import ConfigurationError
from datalayer.settings.variables import RECORDER_POLICIES, RECORDER_PREFIX, Value

_NO_SPOOL = (
    "the policy spool needs locks of files and descriptors of directories, which Windows lacks; "
    "take block"
)


@dataclass(frozen=True)
class RecorderSettings:
    """How events wait, and how they are sent.

    Raises:
        ConfigurationError: for a value that makes no sense.
    """

    policy: str = "drop_oldest"
    """What happens to events that find no room: ``drop_oldest`` and ``drop_newest`` lose one,
    ``block`` has the caller wait, ``spool`` keeps them on disk and loses the newest when that is
    full."""
    capacity: int = 50_000
    """How many events of each model may wait in memory."""
    max_megabytes: float = 64.0
    """How much events of each model may take in memory, as BSON; Python's objects take three to
    five times as much."""
    batch_size: int = 1000
    interval_ms: float = 200.0
    """How long an event may wait for others that are sent with it."""
    connections: int = 3
    """How many batches of a model may be under way at the same time."""
    block_ms: float = 100.0
    """How long ``block`` waits for room before an event is dropped. It doesn't wait for a
    database that is away."""
    spool_directory: Path | None = None
    spool_max_megabytes: float = 1024.0
    """How much the spool of one process may take on disk."""
    fsync_ms: float = 1000.0
    """How often what is in the spool is forced to the disk."""
    counter_seconds: float = 10.0
    """How often counters are written."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be more than 0"
            for name in (
                "capacity",
                "max_megabytes",
                "batch_size",
                "interval_ms",
                "connections",
                "spool_max_megabytes",
                "fsync_ms",
                "counter_seconds",
            )
            if not getattr(self, name) > 0
        ]
        if self.policy not in RECORDER_POLICIES:
            problems.append(f"policy must be one of {', '.join(RECORDER_POLICIES)}")
        if self.policy == "spool" and self.spool_directory is None:
            problems.append("spool_directory must be set for the policy spool")
        if self.policy == "spool" and sys.platform == "win32":
            problems.append(_NO_SPOOL)
        if self.block_ms < 0:
            problems.append("block_ms must not be negative")
        if problems:
            raise ConfigurationError([f"recorder: {problem}" for problem in problems])

    @property
    def max_bytes(self) -> float:
        """``max_megabytes`` in bytes."""
        return self.max_megabytes * 1024 * 1024

    @property
    def spool_max_bytes(self) -> float:
        """``spool_max_megabytes`` in bytes."""
        return self.spool_max_megabytes * 1024 * 1024


def recorder_settings(
    values: Mapping[str, Value | None], problems: list[str]
) -> RecorderSettings | None:
    """The settings that the variables of the recorder give; ``None`` after adding to the
    problems."""
    fields = {
        name.removeprefix(RECORDER_PREFIX).lower(): value
        for name, value in values.items()
        if name.startswith(RECORDER_PREFIX) and value is not None
    }
    if fields["policy"] == "spool" and "spool_directory" not in fields:
        problems.append(
            "DATALAYER_RECORDER_SPOOL_DIRECTORY is not set, and DATALAYER_RECORDER_POLICY=spool "
            "needs it; for example DATALAYER_RECORDER_SPOOL_DIRECTORY=/var/lib/app/spool"
        )
        return None
    if fields["policy"] == "spool" and sys.platform == "win32":
        problems.append(f"DATALAYER_RECORDER_POLICY: {_NO_SPOOL}")
        return None
    directory = fields.pop("spool_directory", None)
    path = None if directory is None else Path(str(directory))
    return RecorderSettings(spool_directory=path, **fields)  # type: ignore[arg-type] # as read
