"""Do the pending migrations go through, and back? Tried on a sample of the documents in a private
server, in a process of its own that knows no other server.

``rehearse`` brings it about, ``sample`` takes the documents, ``stage`` is what runs in the other
process, ``comparison`` tells whether undoing has brought all back, and ``report`` what is told.
"""

from __future__ import annotations

from datalayer.migrations.rehearsal.rehearse import rehearse
from datalayer.migrations.rehearsal.report import (
    NotRestored,
    Rehearsal,
    RehearsedStep,
    Sample,
)

__all__ = ["NotRestored", "Rehearsal", "RehearsedStep", "Sample", "rehearse"]
