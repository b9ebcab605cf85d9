"""Ends without ``disconnect_all``, in one of several ways.

ending.py plainly|by_an_error|with_a_busy_thread|with_a_child
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from deeds import work

from datalayer import db
from datalayer.errors import NotConnectedError
from datalayer.models import MongoLogHandler


def work_on() -> None:
    while True:
        try:
            work(1)
        except NotConnectedError:
            return


def main(way: str) -> None:
    logging.getLogger().addHandler(MongoLogHandler())
    db.connect_all()
    work()
    logging.getLogger("ending").warning("the last words")
    if way == "by_an_error":
        raise SystemExit(3)
    if way == "with_a_busy_thread":
        threading.Thread(target=work_on, daemon=True).start()
    if way == "with_a_child":
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        else:
            work()


if __name__ == "__main__":
    main(sys.argv[1])
