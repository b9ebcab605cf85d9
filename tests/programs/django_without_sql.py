"""A Django project with no SQL database at all: signs somebody in, and says what came of it."""

from __future__ import annotations

import json
import sys
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a key of the tests, long and of more than five different letters",
    ALLOWED_HOSTS=["*"],
    DATABASES={},
    ROOT_URLCONF="django_site.accounts",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "datalayer.contrib.django",
        "datalayer.contrib.django.auth",
        "django_site",
    ],
    MIDDLEWARE=[
        "datalayer.contrib.django.middleware.ConnectMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    SESSION_ENGINE="datalayer.contrib.django.sessions",
    AUTH_USER_MODEL="datalayer_auth.DocumentUser",
    AUTHENTICATION_BACKENDS=["datalayer.contrib.django.auth.backends.DocumentBackend"],
    DATALAYER_USER_DOCUMENT="django_site.documents.Visitor",
    LOGIN_URL="/login",
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - after the settings
from django.core.checks import run_checks  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from datalayer import db  # noqa: E402
from datalayer.contrib.django.sessions import Session  # noqa: E402

told: dict[str, Any] = {"checks": [str(each) for each in run_checks()]}
client = Client()
answer = client.get("/mine")
told["before"] = [answer.status_code, answer.headers["Location"]]
get_user_model().objects.create_user(username="ada", password="correct horse battery")
sent = {"username": "ada", "password": "correct horse battery"}
told["login"] = client.post("/login", sent).status_code
told["mine"] = client.get("/mine").json()["name"]
told["sessions"] = Session.objects.count()
Session.objects.update(expires_at="2001-01-01")
call_command("clearsessions")
told["cleared"] = Session.objects.count()
db.disconnect_all()
json.dump(told, sys.stdout)
