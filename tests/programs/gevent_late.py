"""Patches the standard library with gevent, more or less in time, connects, and prints what came
of it: `gevent_late.py pymongo|datalayer|part|hooks`."""

import json
import sys

from gevent import monkey

if sys.argv[1] == "pymongo":
    import pymongo  # noqa: F401
elif sys.argv[1] == "datalayer":
    from datalayer import db
elif sys.argv[1] == "hooks":
    from datalayer.contrib import gunicorn  # noqa: F401
monkey.patch_all(queue=sys.argv[1] != "part")

from datalayer import db  # noqa: E402
from datalayer.errors import ConfigurationError  # noqa: E402

try:
    with db.connected():
        outcome = "connected"
except ConfigurationError as exc:
    outcome = str(exc)
print(json.dumps(outcome))
