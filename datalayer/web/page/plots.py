"""Inline SVG plots from plain figures. Pure.

Positions are in percent of the width and heights in pixels, so a plot fits any width while its
letters keep their size. Nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datalayer.monitoring import Bucket
from datalayer.web.page.formatting import Tone, compact, duration, number, plural
from datalayer.web.page.log_scale import Column, LogScale, columns, round_top
from datalayer.web.page.markup import Markup, element

_UNIT = 58  # above it are three lines for the names of percentiles
_TOP = _UNIT + 12
_BASE = _TOP + 104
_HEIGHT = _BASE + 38
_LINES = (41, 26, 11)


def distribution(
    buckets: Sequence[Bucket], percentiles: Mapping[str, float | None], *, title: str, unit: str
) -> Markup:
    """How many ``unit`` took how long, with a line at each of up to three percentiles."""
    scale = LogScale.of(buckets)
    shown = columns(buckets, scale)
    top = round_top(max(column.count for column in shown))
    known = {name: value for name, value in percentiles.items() if value is not None}
    spoken = ", ".join(f"{name} {duration(value)}" for name, value in known.items())
    total = number(sum(bucket.count for bucket in buckets))
    return element(
        "svg",
        element("title", title),
        element("desc", f"{total} {unit}; {spoken}. The axis of durations is logarithmic."),
        *_counts_axis(top, unit),
        *(_column(column, scale, top, unit) for column in shown),
        *_durations_axis(scale),
        *_percentiles(known, scale),
        class_="distribution",
        role="img",
        height=_HEIGHT,
    )


def _y(count: float, top: int) -> float:
    return round(_BASE - (_BASE - _TOP) * count / top, 1)


def _column(column: Column, scale: LogScale, top: int, unit: str) -> Markup:
    left, right = scale.percent(column.from_ms), scale.percent(column.to_ms)
    y = min(_y(column.count, top), _BASE - 2)  # a single slow one must be seen
    count = max(round(column.count), 1)
    return element(
        "rect",
        element(
            "title",
            f"{duration(column.from_ms)} to {duration(column.to_ms)}: {number(count)} {unit}",
        ),
        class_="column",
        x=f"{left:.2f}%",
        y=y,
        width=f"{right - left:.2f}%",
        height=round(_BASE - y, 1),
    )


def _counts_axis(top: int, unit: str) -> list[Markup]:
    made = [element("text", unit, class_="axis end", x="-6", y=_UNIT)]
    for count in (0, top // 2, top):
        y = _y(count, top)
        kind = "grid" if count else "base"
        made.append(element("line", class_=kind, x1="0", x2="100%", y1=y, y2=y))
        made.append(element("text", compact(count), class_="axis end", x="-6", y=y + 4))
    return made


def _durations_axis(scale: LogScale) -> list[Markup]:
    made = []
    for at, label in scale.ticks():
        x = f"{at:.2f}%"
        made.append(element("line", class_="base", x1=x, x2=x, y1=_BASE, y2=_BASE + 4))
        made.append(element("text", label, class_="axis middle", x=x, y=_BASE + 18))
    title = element("text", "duration, log scale", class_="axis end", x="100%", y=_HEIGHT - 4)
    return [*made, title]


def _percentiles(known: Mapping[str, float], scale: LogScale) -> list[Markup]:
    """The lines and their names. Each name is left of its line and above those of shorter
    durations, where none of their lines is."""
    made = []
    for (name, value), y in zip(known.items(), _LINES, strict=False):
        x = f"{scale.percent(value):.2f}%"
        text = f"{name} {duration(value)}"
        made.append(element("line", class_="percentile", x1=x, x2=x, y1=y - 9, y2=_BASE))
        made.append(element("text", text, class_="mark end", x=x, y=y, dx=-5))
    return made


def pool_bar(in_use: int, idle: int, most: int | None) -> Markup:
    """The connections in use and idle, against the most that there may be."""
    whole = max(most or 0, in_use + idle, 1)
    limit = "no limit" if not most else f"at most {number(most)}"
    parts = (("in-use", in_use), ("idle", idle), ("room", whole - in_use - idle))
    drawn, left = [], 0.0
    for kind, count in parts:
        width = 100 * count / whole
        if count:
            drawn.append(
                element("rect", class_=kind, x=f"{left:.2f}%", y=1,
                        width=f"{width:.2f}%", height=22)
            )  # fmt: skip
        left += width
    return element(
        "svg",
        element("title", "Connections"),
        element("desc", f"{plural(in_use, 'is', 'are')} in use, {number(idle)} idle, {limit}"),
        *drawn,
        class_="pool",
        role="img",
        height=24,
    )


def bar(share: float, title: str) -> Markup:
    """A bar that is filled for a ``share`` from 0 to 1; ``title`` says it in words."""
    width = 100 * min(max(share, 0.0), 1.0)
    return element(
        "svg",
        element("title", title),
        element("rect", class_="track", x="0", y="0", width="100%", height="8", rx="4"),
        element("rect", class_="filled", x="0", y="0", width=f"{width:.2f}%", height="8", rx="4"),
        class_="bar",
        role="img",
        height=8,
    )


_SHAPES: Mapping[Tone, Markup] = {
    "good": Markup(
        '<circle cx="12" cy="12" r="11"/><path class="cut" d="M6.5 12.5l3.6 3.6 7.4-8"/>'
    ),
    "warn": Markup('<path d="M12 1.5 23.5 22.5H.5z"/><path class="cut" d="M12 9v6m0 3.2v.3"/>'),
    "bad": Markup(
        '<path d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z"/>'
        '<path class="cut" d="M7.8 7.8l8.4 8.4m0-8.4l-8.4 8.4"/>'
    ),
    "quiet": Markup('<circle class="hollow" cx="12" cy="12" r="9"/>'),
}


def icon(tone: Tone) -> Markup:
    """A shape of its own for each tone, beside a word that says the same."""
    return element(
        "svg", _SHAPES[tone], class_=f"icon {tone}", viewBox="0 0 24 24", aria_hidden="true"
    )
