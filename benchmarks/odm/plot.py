"""Draws the shares as bars: an SVG that is readable on light and dark pages, without a library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

__all__ = ["plot"]

# Told apart by their lightness as well as their hue, and visible on white and on near-black.
_COLOURS = ("#8a8f98", "#d9822b", "#2f7de1", "#3f9c6b", "#b05fc7", "#c94f5d")
_LEFT, _WIDTH, _RIGHT = 240, 600, 50  # the names' width, that of the longest bar, the figures'
_BAR, _BETWEEN, _TOP, _BOTTOM = 9, 12, 44, 26
_STEPS, _MOST_LINES = (2, 5, 10, 20, 50, 100), 8  # tenths between the scale's lines
_STYLE = """
  .page { fill: #ffffff; }
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .figure { font-size: 9px; }
  .line { stroke: #1f2328; stroke-opacity: 0.2; }
  .one { stroke: #1f2328; stroke-opacity: 0.7; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #131416; }
    text { fill: #e6e8eb; }
    .line, .one { stroke: #e6e8eb; }
  }
"""


def plot(
    shares: Mapping[str, Mapping[str, float]], libraries: Sequence[str], baseline: str = "pymongo"
) -> str:
    """An SVG of a group of bars for each task; the baseline is the dashed line at 1."""
    shown = [library for library in libraries if library != baseline]
    colours = dict(zip(shown, (_COLOURS * len(shown))[: len(shown)], strict=True))
    group = _BAR * len(shown) + _BETWEEN
    height = _TOP + group * len(shares) + _BOTTOM
    greatest = max([1.0, *(row[name] for row in shares.values() for name in shown if name in row)])
    width = _LEFT + _WIDTH + _RIGHT
    one = _WIDTH / greatest
    parts = [*_legend(colours), *_scale(greatest, one, height, baseline)]
    for number, (title, row) in enumerate(shares.items()):
        parts += _group(title, row, colours, one, _TOP + number * group)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n'
        f"<title>Speed as a share of {escape(baseline)}</title>\n"
        f"<style>{_STYLE}</style>\n"
        f'<rect class="page" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
    )


def _legend(colours: Mapping[str, str]) -> Iterator[str]:
    left = _LEFT
    for name, colour in colours.items():
        yield f'<rect x="{left}" y="8" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{left + 17}" y="18">{escape(name)}</text>'
        left += 40 + 7 * len(name)


def _scale(greatest: float, one: float, height: int, baseline: str) -> Iterator[str]:
    bottom = height - _BOTTOM
    step = next((each for each in _STEPS if greatest * 10 / each <= _MOST_LINES), _STEPS[-1])
    for tenths in sorted({10, *range(0, int(greatest * 10) + 1, step)}):
        left = round(_LEFT + one * tenths / 10)
        kind = "one" if tenths == 10 else "line"
        name = f"1.0 ({baseline})" if tenths == 10 else f"{tenths / 10:.1f}"
        yield f'<line class="{kind}" x1="{left}" x2="{left}" y1="{_TOP - 8}" y2="{bottom}"/>'
        yield f'<text text-anchor="middle" x="{left}" y="{bottom + 16}">{escape(name)}</text>'


def _group(
    title: str, row: Mapping[str, float], colours: Mapping[str, str], one: float, top: int
) -> Iterator[str]:
    middle = top + _BAR * len(colours) / 2 + 4
    yield f'<text text-anchor="end" x="{_LEFT - 8}" y="{middle:g}">{escape(title)}</text>'
    for place, (name, colour) in enumerate(colours.items()):
        if name not in row:
            continue
        y, length = top + place * _BAR, one * row[name]
        yield (
            f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 1}" fill="{colour}">'
            f"<title>{escape(title)}, {escape(name)}: {row[name]:.2f}</title></rect>"
        )
        yield (
            f'<text class="figure" x="{_LEFT + length + 4:.1f}" y="{y + _BAR - 1}">'
            f"{row[name]:.2f}</text>"
        )
