"""Tells whether threads are greenlets, as gevent makes them, and refuses to work where that was
done in a way that can't hold."""

from __future__ import annotations

import sys
import threading
from typing import Any

from bson import ObjectId

from datalayer.errors import ConfigurationError

_NEEDED = ("threading", "socket", "ssl", "select", "time", "queue")
"""What the driver and this package wait in."""
_FIRST = (
    "put `from gevent import monkey; monkey.patch_all()` before all other imports where the "
    "process starts: at the top of gunicorn.conf.py where gunicorn serves (preload_app loads the "
    "application before a worker patches by itself), else of the program"
)
_own_lock = threading.Lock()  # a greenlets' lock where the patch came before the import


def gevent_of_threads() -> Any:
    """The package gevent where threads are its greenlets, else ``None``."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return None
    return sys.modules["gevent"]


def refuse_unsafe_patching() -> None:
    """To be called before a client is opened, and before anything is waited for.

    A lock that was made before the standard library was patched belongs to the system's thread:
    two greenlets of one thread hold it both, or it stops all of them.

    Raises:
        ConfigurationError: where the driver or this package were imported before the patch,
            where only a part is patched, where uWSGI is going to patch, and with eventlet.
    """
    _refuse_eventlet()
    _refuse_uwsgis_late_patching()
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return
    missing = [name for name in _NEEDED if not monkey.is_module_patched(name)]
    if len(missing) == len(_NEEDED):
        return
    if missing:
        raise ConfigurationError(
            f"gevent has patched a part of the standard library, without {', '.join(missing)}: "
            f"what waits there would stop all greenlets; {_FIRST}"
        )
    of_threads = type(monkey.get_original("threading", "Lock")())
    # The one of bson is older than the driver, MongoEngine and this package, in any order.
    if isinstance(getattr(ObjectId, "_inc_lock", _own_lock), of_threads):
        raise ConfigurationError(
            "gevent has patched the standard library after pymongo or datalayer was imported: "
            f"their locks would hold back no greenlet, or all of them; {_FIRST}"
        )


def _refuse_uwsgis_late_patching() -> None:
    uwsgi: Any = sys.modules.get("uwsgi")  # only inside uWSGI
    if uwsgi is None or gevent_of_threads() is not None:
        return
    if getattr(uwsgi, "loop", None) == b"gevent" and "gevent-monkey-patch" in uwsgi.opt:
        raise ConfigurationError(
            "uWSGI's gevent-monkey-patch patches the standard library after the application was "
            "loaded, with pymongo and datalayer; set gevent-early-monkey-patch = true instead"
        )


def _refuse_eventlet() -> None:
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and any(map(patcher.is_monkey_patched, ("thread", "socket"))):
        raise ConfigurationError(
            "eventlet has patched the standard library, and the driver does not support it (since "
            "PyMongo 4.16); use threads or gevent: gunicorn's workers gthread or gevent, say"
        )
