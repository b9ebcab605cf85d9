"""All workers of an application on this machine: what each has written down last, and their sums.

Each process that answers with ``Endpoints`` writes a small file every few seconds, in a thread of
its own. Whichever worker is asked for the status page reads the others' files.

``report`` is what a worker tells, ``publishing`` the thread that writes it, ``files`` the
directory; ``aggregation`` adds up, and ``cleanup`` removes files of workers that have ended.
"""

from __future__ import annotations

from datalayer.web.workers.aggregation import Together, Workers
from datalayer.web.workers.publishing import publisher
from datalayer.web.workers.report import Figures, Report, figures_of

__all__ = ["Figures", "Report", "Together", "Workers", "figures_of", "publisher"]
