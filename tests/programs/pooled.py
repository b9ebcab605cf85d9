"""Lets a pool of ``multiprocessing`` work after connecting; prints the reports as JSON."""

from __future__ import annotations

import json
import multiprocessing

from deeds import work

from datalayer import db


def main() -> None:
    db.connect_all()
    before = work()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        reports = pool.map(work, [2] * 40, chunksize=1)
    print(json.dumps({"parent": [before, work()], "children": reports}))
    db.disconnect_all()


if __name__ == "__main__":
    main()
