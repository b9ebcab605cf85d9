"""Django's settings. What differs between machines comes from the environment."""

from __future__ import annotations

import os

DEBUG = os.environ.get("DEBUG", "true") == "true"
SECRET_KEY = os.environ.get("SECRET_KEY") or ("for development only" * 3 if DEBUG else "")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")

INSTALLED_APPS = [
    "django.contrib.sessions",
    "django.contrib.messages",
    "datalayer.contrib.django",
    "neighbours",
]

# MongoDB. A value of DATALAYER beats the variable of the same name in the environment. So only
# what is the same on every machine stands here: MONGODB_URI and DATABASE1_URI come from there.
DATALAYER: dict[str, object] = {
    # Django takes a module `migrations` of an application for the ORM's.
    "DATALAYER_MIGRATIONS": "neighbours.document_migrations",
    "MONGODB_RETRY_MAX_SECONDS": 5,  # how long a process's first request waits for the server
}
if DEBUG and not os.environ.get("MONGODB_URI"):
    DATALAYER["MONGODB_URI"] = "embedded://neighbours"

MIDDLEWARE = [
    "datalayer.contrib.django.middleware.ConnectMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "datalayer.contrib.django.middleware.TemporaryErrorsMiddleware",
    "datalayer.contrib.django.middleware.CausalReadsMiddleware",
    "neighbours.page_views.PageViewMiddleware",
]

# Sessions are in MongoDB too, beside the users: who is signed in stays so while the analytics
# database is away. Nothing is left for Django's ORM.
SESSION_ENGINE = "datalayer.contrib.django.sessions"
DATALAYER_SESSION_ALIAS = "default"
DATABASES: dict[str, dict[str, object]] = {}

TEST_RUNNER = "datalayer.contrib.django.test.DataLayerTestRunner"
ROOT_URLCONF = "neighbours.urls"
WSGI_APPLICATION = "neighbours.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

USE_TZ = True
TIME_ZONE = os.environ.get("TIME_ZONE", "UTC")  # where the neighbours live
USE_THOUSAND_SEPARATOR = True
METRICS_TOKEN = os.environ.get("METRICS_TOKEN")  # what Prometheus has to bring to see /metrics
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"datalayer": {"handlers": ["console"], "level": "INFO"}},
}
