"""For gunicorn: ``gunicorn neighbours.wsgi``. Each worker connects at its first request."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "neighbours.settings")
application = get_wsgi_application()
