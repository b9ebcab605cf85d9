"""What the fixture ``migrate`` gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from datalayer.migrations.steps import Migration

Migrate: TypeAlias = Callable[..., Migration]
"""Makes an ``m``."""
