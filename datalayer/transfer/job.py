"""A job: one part of a transfer as a runner has it before it, with all that the work needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.transform import RawTransform, inverse_of, transform_of


@dataclass(frozen=True)
class Job:
    """One part of a transfer: what is copied, from where, to where, in which form, and by which
    right."""

    plan: Plan
    part: Part
    number: int
    """Which part of the plan it is."""
    origin: Endpoint
    destination: Endpoint
    transform: RawTransform
    lease: Lease

    @property
    def inverse(self) -> RawTransform | None:
        """The way back to the source's documents; ``None`` where there is none."""
        return inverse_of(self.plan, self.part)

    @property
    def journal(self) -> Journal:
        """Where the part's ranges are noted."""
        return self.lease.journal

    def facts(self) -> Mapping[str, Any]:
        """What the journal holds of the part beside its ranges; empty before it was begun."""
        facts: Mapping[str, Any] = self.journal.progress().get(str(self.number), {})
        return facts

    def kept_collection(self, kind: str) -> str:
        """The collection of the target in which documents are kept for a rollback: ``originals``,
        which were replaced there, or ``sources``, which a move can't make again."""
        return f"datalayer_transfer_{kind}.{self.plan.name}.{self.number}"


def jobs_of(plan: Plan, lease: Lease) -> list[Job]:
    """A job for each part of ``plan``."""
    origin, destination = Endpoint.of(plan.source), Endpoint.of(plan.target)
    return [
        Job(plan, part, number, origin, destination, transform_of(plan, part), lease)
        for number, part in enumerate(plan.parts)
    ]
