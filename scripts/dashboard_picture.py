"""Draws the panels of the Grafana dashboard as one page, with what a real Prometheus answers to
their queries.

It is no picture of Grafana, which no package index has: titles, places, units and queries are
those of `grafana-dashboard.json`, the drawing is done here.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

__all__ = ["page", "panels"]

DASHBOARD = Path(__file__).parents[1] / "datalayer/contrib/prometheus/grafana-dashboard.json"
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d")
WIDTH, ROW = 1100, 32
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 12px/1.4 system-ui, sans-serif; }
.grid { position: relative; }
.panel { position: absolute; background: #181b1f; border: 1px solid #2c3038; border-radius: 2px;
  box-sizing: border-box; padding: 6px 8px; overflow: hidden; }
.row { position: absolute; font-weight: 600; padding: 8px; }
h2 { font-size: 12px; font-weight: 500; margin: 0 0 4px; }
.stat { display: flex; gap: 24px; font-size: 28px; color: #73bf69; margin-top: 24px; }
.stat small { display: block; font-size: 12px; color: #ccccdc; }
svg { display: block; } text { fill: #8e8e99; font-size: 10px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 10px; font-size: 10px; max-height: 28px; }
.legend i { display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 0; }
"""


@dataclass(frozen=True)
class Line:
    """One series of a panel: its name, and its values by time."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Panel:
    """What is drawn, and where on a grid of 24 columns."""

    title: str
    kind: str
    unit: str
    place: Mapping[str, int]
    lines: tuple[Line, ...]


def panels(prometheus: str, start: float, end: float, step: float) -> list[Panel]:
    """All of the dashboard's panels, with the answers to their queries.

    Raises ``RuntimeError`` for a query that Prometheus refuses.
    """
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        lines = [
            line
            for target in panel.get("targets", [])
            for line in _asked(prometheus, target, start, end, step)
        ]
        unit = defaults.get("unit", "short")
        place = panel["gridPos"]
        found.append(Panel(panel["title"], panel["type"], unit, place, tuple(lines)))
    return found


def _asked(
    prometheus: str, target: Mapping[str, Any], start: float, end: float, step: float
) -> Iterator[Line]:
    query = target["expr"].replace("$__rate_interval", f"{max(int(step * 4), 8)}s")
    for name in ("$job", "$instance", "$alias"):
        query = query.replace(name, ".*")
    words = urlencode({"query": query, "start": start, "end": end, "step": step})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{words}", timeout=30) as answer:
        told = json.load(answer)
    if told["status"] != "success":
        raise RuntimeError(f"{query}: {told}")
    for series in told["data"]["result"]:
        name = target.get("legendFormat") or ", ".join(series["metric"].values())
        for label, value in series["metric"].items():
            name = name.replace("{{" + label + "}}", value)
        points = ((at, float(value)) for at, value in series["values"])
        yield Line(name, tuple(point for point in points if point[1] == point[1]))


def page(drawn: Sequence[Panel], start: float, end: float) -> str:
    """One HTML page of `WIDTH` pixels."""
    height = max(each.place["y"] + each.place["h"] for each in drawn) * ROW
    inside = "".join(_panel(each, start, end) for each in drawn)
    return (
        f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>"
        f'<div class=grid style="height:{height}px">{inside}</div>'
    )


def _panel(panel: Panel, start: float, end: float) -> str:
    column = WIDTH / 24
    x, y, w, h = (panel.place[name] for name in "xywh")
    width, height = round(w * column) - 6, h * ROW - 6
    style = f"left:{round(x * column) + 3}px;top:{y * ROW + 3}px;width:{width}px;height:{height}px"
    if panel.kind == "row":
        return f'<div class=row style="{style}">{escape(panel.title)}</div>'
    inside = _stat(panel) if panel.kind == "stat" else _plot(panel, width, height, start, end)
    return f'<div class=panel style="{style}"><h2>{escape(panel.title)}</h2>{inside}</div>'


def _stat(panel: Panel) -> str:
    shown = "".join(
        f"<div>{_value(line.points[-1][1], panel.unit)}<small>{escape(line.name)}</small></div>"
        for line in panel.lines
        if line.points
    )
    return f"<div class=stat>{shown or 'No data'}</div>"


def _plot(panel: Panel, width: int, height: int, start: float, end: float) -> str:
    left, right, top, bottom = 52, width - 20, 6, height - 80
    largest = max((v for line in panel.lines for _, v in line.points), default=0.0) or 1.0
    made = []
    for share in (0.0, 0.5, 1.0):
        at = bottom - (bottom - top) * share
        made.append(f'<line x1={left} x2={right} y1={at} y2={at} stroke="#2c3038"/>')
        label = _value(largest * share, panel.unit)
        made.append(f"<text x={left - 6} y={at + 3} text-anchor=end>{label}</text>")
    for share in (0.0, 0.5, 1.0):
        x = left + (right - left) * share
        seconds = round((end - start) * (share - 1))
        anchor = "end" if share == 1 else "middle"
        made.append(f"<text x={x} y={bottom + 14} text-anchor={anchor}>{seconds} s</text>")
    legend = []
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(
            f"{left + (right - left) * (at - start) / (end - start):.1f},"
            f"{bottom - (bottom - top) * value / largest:.1f}"
            for at, value in line.points
        )
        made.append(f'<polyline points="{places}" fill=none stroke="{colour}" stroke-width=1.5 />')
        legend.append(f'<span><i style="background:{colour}"></i>{escape(line.name)}</span>')
    svg = f"<svg width={width - 16} height={bottom + 18}>{''.join(made)}</svg>"
    return f"{svg}<div class=legend>{''.join(legend)}</div>"


def _value(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 1000:.3g} kB"
    return f"{value:.3g}"
