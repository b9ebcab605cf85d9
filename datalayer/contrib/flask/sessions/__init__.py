"""Sessions that are kept in a database. Where do they lie, how long, and who may read them?

``interface`` is what an application sets, ``session`` what a request sees of it, ``store`` the
collection, ``values`` what may stand in it. ``lazy`` is for session interfaces of other
extensions.
"""

from __future__ import annotations

from datalayer.contrib.flask.sessions.lazy import LazySessionInterface as LazySessionInterface
