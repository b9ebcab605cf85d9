"""Django's settings, as far as the environment does not say otherwise."""

from __future__ import annotations

import json
import os
from typing import Any

DEBUG = os.environ.get("SITE_DEBUG") == "1"
SECRET_KEY = "a key of the tests, long and of more than five different letters"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_site.urls"
WSGI_APPLICATION = "django_site.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "datalayer.contrib.django",
    "django_site",
]
MIDDLEWARE = [
    "datalayer.contrib.django.middleware.ConnectMiddleware",
    "datalayer.contrib.django.middleware.TemporaryErrorsMiddleware",
    "datalayer.contrib.django.middleware.CausalReadsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SITE_SQLITE", ":memory:"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING_CONFIG = None
DATALAYER: dict[str, Any] = json.loads(os.environ.get("SITE_DATALAYER", "{}"))
TEST_RUNNER = "datalayer.contrib.django.test.DataLayerTestRunner"
