"""The application with uWSGI's hooks, and with hooks of its own beside them.

HOOKS_OF_ITS_OWN: ``plain`` for functions, ``decorators`` for uwsgidecorators imported afterwards.
"""

from __future__ import annotations

import os

import uwsgi
from served_application import application

import datalayer.contrib.uwsgi
from datalayer import db

__all__ = ["application"]


def connected_after_the_fork() -> None:
    print(f"own hook: connected is {db.database.is_connected}", flush=True)


def connected_at_the_end() -> None:
    print(f"own end: connected is {db.database.is_connected}", flush=True)


way = os.environ.get("HOOKS_OF_ITS_OWN")
if way == "plain":
    uwsgi.post_fork_hook = connected_after_the_fork
    uwsgi.atexit = connected_at_the_end

datalayer.contrib.uwsgi.install()

if way == "decorators":
    import uwsgidecorators

    uwsgidecorators.postfork(connected_after_the_fork)
