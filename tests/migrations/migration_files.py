"""What tests call to write the file of a migration."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Write(Protocol):
    def __call__(self, name: str, text: str = ...) -> Path: ...
