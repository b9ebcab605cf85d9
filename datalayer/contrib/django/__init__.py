"""datalayer in a Django project, beside Django's own ORM.

INSTALLED_APPS += ["datalayer.contrib.django"]
MIDDLEWARE.insert(0, "datalayer.contrib.django.middleware.ConnectMiddleware")
DATALAYER = {"MONGODB_URI": "mongodb://localhost:27017/app"}

``settings`` reads that dict and ``redaction`` hides its secrets; ``middleware`` connects and
answers 503 (``responses``), ``connecting`` says when, ``views`` and ``urls`` have the health
endpoints, ``checks`` the system checks, ``commands`` what ``manage.py`` runs, ``test`` the runner.
What Django has for the ORM's models, for documents: ``sessions``, ``auth`` (users), ``forms``,
``generic`` (views), ``shortcuts``.
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401 - to say what is missing before anything else does
except ImportError as exc:
    raise ImportError(
        'datalayer.contrib.django needs Django: pip install "mongoengine-datalayer[django]"'
    ) from exc

from datalayer.contrib.connecting import needs_no_database
from datalayer.contrib.django.connecting import connect
from datalayer.contrib.django.settings import read_settings

__all__ = ["connect", "needs_no_database", "read_settings"]
