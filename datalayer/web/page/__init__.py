"""The status page: one self-contained HTML document, from a snapshot. Pure."""

from __future__ import annotations

from datalayer.web.page.layout import page
from datalayer.web.page.style import STYLE

__all__ = ["STYLE", "page"]
