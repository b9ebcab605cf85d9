"""What a migration can do: the steps of ``m``, which ``apply(m)`` and ``undo(m)`` are given. Each
is noted on its way, so that it goes on where it was after a kill, and happens once.

- ``migration``: ``m`` itself; ``stepping``: one step after the other; ``values``: what is told
- ``kinds``: what the steps do; ``targets``: what they go to, and whether they can
- ``batches``, ``ranges``, ``pace``: how documents are gone through; ``checkpoints``: how far
- ``dry_run``: in which nothing is written
"""

from __future__ import annotations

from datalayer.migrations.steps.migration import Migration
from datalayer.migrations.steps.values import StepOutcome, StepProgress

__all__ = ["Migration", "StepOutcome", "StepProgress"]
