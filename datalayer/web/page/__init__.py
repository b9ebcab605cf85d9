"""The status page: one self-contained HTML document, from a snapshot. Pure.

``layout`` puts it together from ``databases``, ``workers``, ``transfers_recorder_outbox`` and
``hints``, which are worth a look. They are made of ``components`` and ``plots`` (on a
``log_scale``), written by ``formatting`` and ``markup``; ``style`` is the style sheet.
"""

from __future__ import annotations

from datalayer.web.page.layout import page
from datalayer.web.page.style import STYLE

__all__ = ["STYLE", "page"]
