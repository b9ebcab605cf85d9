"""The settings of the recorder, as a value."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datalayer.errors import ConfigurationError
from datalayer.settings.variables import RECORDER_POLICIES, RECORDER_VARIABLES, RecorderFields

_NO_SPOOL = (
    "the policy spool needs locks of files and descriptors of directories, which Windows lacks; "
    "take block"
)


@dataclass(frozen=True)
class RecorderSettings(RecorderFields):
    """How events wait, and how they are sent: each field is a variable of the recorder.

    Raises:
        ConfigurationError: for a value that makes no sense.
    """

    def __post_init__(self) -> None:
        problems = []
        for variable in RECORDER_VARIABLES:
            lowest, value = variable.type.lowest, getattr(self, variable.field)
            if lowest == 0 and value < 0:
                problems.append(f"{variable.field} must not be negative")
            elif lowest and not value > 0:
                problems.append(f"{variable.field} must be more than 0")
        if self.policy not in RECORDER_POLICIES:
            problems.append(f"policy must be one of {', '.join(RECORDER_POLICIES)}")
        if self.policy == "spool" and self.spool_directory is None:
            problems.append("spool_directory must be set for the policy spool")
        if self.policy == "spool" and sys.platform == "win32":
            problems.append(_NO_SPOOL)
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


def recorder_settings(values: Mapping[str, Any], problems: list[str]) -> RecorderSettings:
    """The settings from ``values`` by field; the defaults after adding to the problems."""
    if values["policy"] == "spool" and values["spool_directory"] is None:
        problems.append(
            "DATALAYER_RECORDER_SPOOL_DIRECTORY is not set, and DATALAYER_RECORDER_POLICY=spool "
            "needs it; for example DATALAYER_RECORDER_SPOOL_DIRECTORY=/var/lib/app/spool"
        )
    elif values["policy"] == "spool" and sys.platform == "win32":
        problems.append(f"DATALAYER_RECORDER_POLICY: {_NO_SPOOL}")
    else:
        return RecorderSettings(**values)
    return RecorderSettings()
