"""What several sections are made of: cards, tables, figures with names, states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datalayer.web.page.formatting import Tone
from datalayer.web.page.markup import Content, Markup, element
from datalayer.web.page.plots import icon


def card(key: str, title: Content, *contents: Content) -> Markup:
    """A section with a heading; ``key`` is its id."""
    head = element("h2", title, id=f"{key}-title")
    return element("section", head, *contents, class_="card", id=key,
                   aria_labelledby=f"{key}-title")  # fmt: skip


def state(tone: Tone, word: str) -> Markup:
    """A word with the shape of its tone."""
    return element("span", icon(tone), word, class_="state")


def facts(shown: Mapping[str, Content]) -> Markup:
    """Figures with their names below them."""
    pairs = (element("div", element("dt", name), element("dd", value))
             for name, value in shown.items())  # fmt: skip
    return element("dl", *pairs, class_="facts")


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[Content]],
    classes: Sequence[str | None] = (),
) -> Markup:
    """A table with a caption; ``classes`` are its columns'. A row's first cell is its heading."""
    kinds = [*classes, *[None] * (len(heads) - len(classes))]
    head = element("tr", *(element("th", name, scope="col", class_=kind)
                           for name, kind in zip(heads, kinds, strict=True)))  # fmt: skip
    body = (element("tr", *_cells(row, kinds)) for row in rows)
    return element(
        "table", element("caption", caption), element("thead", head), element("tbody", *body)
    )


def _cells(row: Sequence[Content], kinds: Sequence[str | None]) -> list[Markup]:
    first, *others = zip(row, kinds, strict=True)
    return [
        element("th", first[0], scope="row", class_=first[1]),
        *(element("td", content, class_=kind) for content, kind in others),
    ]
