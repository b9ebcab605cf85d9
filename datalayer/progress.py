"""A progress bar for scripts, on standard error: rich's where it is installed and a person looks
on, plain lines everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import IO, Any, TypeVar

from datalayer.terminal import printable

__all__ = ["Advance", "progress", "track"]

Item = TypeVar("Item")
Advance = Callable[[int], None]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(label: str, total: int | None, *, stream: IO[str] | None = None) -> Iterator[Advance]:
    """Show how far a ``with`` block has got; call what it gives with the number of items done.

    A terminal gets a bar with rate and time left. Anything else (a file, a pipe, or no rich) gets
    a line every five seconds and one at the end. A ``total`` of ``None`` isn't known. ``stream``
    defaults to standard error.
    """
    stream = stream or sys.stderr
    label = printable(label)
    bar = _bar if stream.isatty() and find_spec("rich") is not None else _lines
    with bar(label, total, stream) as advance:
        yield advance


def track(
    items: Iterable[Item], label: str, total: int, *, stream: IO[str] | None = None
) -> Iterator[Item]:
    """Go through ``items``, of which there are ``total``, and show how far it has got."""
    with progress(label, total, stream=stream) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def _bar(label: str, total: int | None, stream: IO[str]) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("  {task.description:<20}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>9,.0f}/s"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    started = monotonic()
    with Progress(*columns, console=Console(file=stream)) as bars:
        task: Any = bars.add_task(label, total=total, rate=0.0)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            bars.update(task, completed=done, rate=_rate(done, monotonic() - started))

        yield advance


@contextmanager
def _lines(label: str, total: int | None, stream: IO[str]) -> Iterator[Advance]:
    started = told = monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, told
        done += count
        if monotonic() - told >= _SECONDS_BETWEEN_LINES:
            told = monotonic()
            _say(stream, f"  {label}: {done:,}" + ("" if total is None else f" of {total:,}"))

    yield advance
    elapsed = monotonic() - started
    rate = _rate(done, elapsed)
    _say(stream, f"  {label}: {done:,} in {elapsed:.1f} s ({rate:,.0f}/s)")


def _say(stream: IO[str], line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def _rate(done: int, seconds: float) -> float:
    return done / seconds if seconds > 0 else 0.0
