"""What writers were told of their writes, and whether it was true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from datalayer.errors import OutcomeUnknownError

NO_EFFECT, UNKNOWN, ACKNOWLEDGED = range(3)
"""What a call said of its write: it had none, it may have one, it is stored."""


@dataclass
class Account:
    """What one writer knows of its writes. A byte a number, so that memory tells of leaks only."""

    name: str
    outcomes: bytearray = field(default_factory=bytearray)

    def next_number(self) -> int:
        """For the next write, which has had no effect so far."""
        self.outcomes.append(NO_EFFECT)
        return len(self.outcomes) - 1

    @contextmanager
    def writing(self, number: int) -> Iterator[None]:
        """Note how the write of ``number`` ends."""
        try:
            yield
        except OutcomeUnknownError:
            self.outcomes[number] = UNKNOWN
            raise
        self.outcomes[number] = ACKNOWLEDGED


@dataclass(frozen=True)
class Balance:
    """An account against what is stored."""

    acknowledged: int
    unknown: int
    lost: tuple[int, ...]
    """Acknowledged, and not there."""
    doubled: tuple[int, ...]
    """There more than once."""
    denied: tuple[int, ...]
    """There, where the call said that it had no effect."""

    def violations(self, name: str) -> Iterator[str]:
        """A sentence for each kind of untruth, with the first numbers concerned."""
        for numbers, what in (
            (self.lost, "acknowledged writes are lost"),
            (self.doubled, "writes are stored twice"),
            (self.denied, "writes are stored whose calls said that they had no effect"),
        ):
            if numbers:
                yield f"{name}: {len(numbers)} {what}, the first {list(numbers[:5])}"


def balance(account: Account, stored: Iterable[int]) -> Balance:
    """What came of the writes of ``account``, of which the numbers ``stored`` were found."""
    there = Counter(stored)
    outcomes = account.outcomes
    numbered = list(enumerate(outcomes))
    return Balance(
        acknowledged=outcomes.count(ACKNOWLEDGED),
        unknown=outcomes.count(UNKNOWN),
        lost=tuple(n for n, told in numbered if told == ACKNOWLEDGED and not there[n]),
        doubled=tuple(sorted(n for n, times in there.items() if times > 1)),
        denied=tuple(n for n, told in numbered if told == NO_EFFECT and there[n]),
    )
