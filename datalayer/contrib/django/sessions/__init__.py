"""Django's sessions in MongoDB: ``SESSION_ENGINE = "datalayer.contrib.django.sessions"``.

``documents``: what is stored, where, and for how long; ``store``: what Django asks of it;
``serializers``: for sessions that hold more than JSON knows.
"""

from __future__ import annotations

from datalayer.contrib.django.sessions.documents import Session
from datalayer.contrib.django.sessions.serializers import BSONSerializer
from datalayer.contrib.django.sessions.store import SessionStore

__all__ = ["BSONSerializer", "Session", "SessionStore"]
