"""How is progress told on standard error? A bar for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import IO, Protocol

from datalayer.progress import Advance, progress
from datalayer.terminal import printable_json

_SECONDS_BETWEEN_LINES = 1.0


class Progress(Protocol):
    """How far one phase of some work is."""

    @property
    def name(self) -> str:
        """What the work is called."""

    @property
    def phase(self) -> str:
        """What is being done."""

    @property
    def done(self) -> int:
        """How many documents of this phase are done."""

    @property
    def total(self) -> int | None:
        """How many there are; ``None`` where nobody knows."""


@contextmanager
def telling(stream: IO[str], what: str) -> Iterator[Callable[[Progress], None]]:
    """What to call with each progress in a ``with`` block; ``what`` the work is, a ``transfer``
    say, is the key of its name in JSON lines."""
    teller = _Bars(stream) if stream.isatty() else _Lines(stream, what)
    with teller.stack:
        yield teller.tell


class _Bars:
    """A bar for each phase."""

    def __init__(self, stream: IO[str]) -> None:
        self.stack = ExitStack()
        self._stream = stream
        self._phase: str | None = None
        self._advance: Advance | None = None
        self._done = 0

    def tell(self, news: Progress) -> None:
        """Move the bar on."""
        if news.phase != self._phase:
            self.stack.close()
            bar = progress(news.phase, news.total, stream=self._stream)
            self._advance = self.stack.enter_context(bar)
            self._phase, self._done = news.phase, 0
        if self._advance is not None:
            self._advance(news.done - self._done)
        self._done = news.done


class _Lines:
    """A line of JSON at most every second, and at the end of each phase."""

    def __init__(self, stream: IO[str], what: str) -> None:
        self.stack = ExitStack()
        self._stream = stream
        self._what = what
        self._phase: str | None = None
        self._began = self._told = 0.0
        self._before = 0

    def tell(self, news: Progress) -> None:
        """Write a line if one is due."""
        now = monotonic()
        if news.phase != self._phase:
            self._phase, self._began, self._told, self._before = news.phase, now, 0.0, news.done
        ended = news.total is not None and news.done >= news.total
        if now - self._told < _SECONDS_BETWEEN_LINES and not ended:
            return
        self._told = now
        passed = now - self._began
        rate = (news.done - self._before) / passed if passed > 0 else 0.0
        left = (news.total - news.done) / rate if rate and news.total is not None else None
        line = {
            self._what: news.name,
            "phase": news.phase,
            "done": news.done,
            "total": news.total,
            "rate": round(rate),
            "seconds_left": None if left is None else round(left, 1),
        }
        self._stream.write(printable_json(json.dumps(line)) + "\n")
        self._stream.flush()
