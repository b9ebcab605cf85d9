"""What the tests ask for."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest, JsonResponse

from datalayer import errors
from datalayer.connections.registry import registry
from datalayer.transactions.state import bound
from django_site.models import Note


def work(request: HttpRequest) -> JsonResponse:
    """Stores a document and counts them."""
    Note(text="a note").save()
    return JsonResponse({"notes": Note.objects.count(), "process": os.getpid()})


def about(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"connected": registry.aliases()})


def both(request: HttpRequest) -> JsonResponse:
    """Stores one thing in MongoDB and one through the ORM."""
    user = get_user_model().objects.create(username=f"user-{Note.objects.count()}")
    Note(text=user.username).save()
    told: dict[str, Any] = {
        "notes": [note.text for note in Note.objects],
        "users": list(get_user_model().objects.values_list("username", flat=True)),
    }
    return JsonResponse(told)


def session(request: HttpRequest) -> JsonResponse:
    """Whether the request has a session of MongoDB's."""
    return JsonResponse({"bound": bound(registry.connection()) is not None})


def failing(request: HttpRequest, name: str) -> JsonResponse:
    raise getattr(errors, name)("told to the log only")
