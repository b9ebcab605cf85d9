"""What is stored of a session. The server deletes it within a minute after it has expired."""

from __future__ import annotations

from django.conf import settings

from datalayer.documents import Document
from datalayer.fields import SecretField, StringField, UTCDateTimeField


class Session(Document):
    """A session of a visitor, in the database that ``DATALAYER_SESSION_ALIAS`` of Django's
    settings names (default ``"database1"``), in the collection ``DATALAYER_SESSION_COLLECTION``
    (default ``"django_sessions"``)."""

    key = StringField(primary_key=True, secret=True)  # who has it is signed in
    data = SecretField(required=True)  # signed, not encrypted
    expires_at = UTCDateTimeField(required=True)

    meta = {
        "db_alias": getattr(settings, "DATALAYER_SESSION_ALIAS", "database1"),
        "collection": getattr(settings, "DATALAYER_SESSION_COLLECTION", "django_sessions"),
        "timestamps": False,
        # A request has to find what the one before it wrote, also where statistics are read from
        # a secondary.
        "read_from": "primary",
        "indexes": [{"fields": ["expires_at"], "expireAfterSeconds": 0}],
    }
