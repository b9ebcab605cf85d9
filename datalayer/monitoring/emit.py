"""The shape of the function through which a monitor tells its service that something happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Emit: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Called with an event's name and its facts; must return at once."""
