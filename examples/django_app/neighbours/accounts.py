"""Who is signed in: Django's session, which datalayer keeps in MongoDB, holds the user's id."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from bson import ObjectId
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme

from datalayer import db
from datalayer.documents import NotUniqueError
from neighbours.models import Profile, User

SESSION_KEY = "user"
_IN_REQUEST = "neighbours.user"


class AddressTakenError(Exception):
    """There is an account with this e-mail address."""


def sign_up(email: str, password: str, display_name: str) -> User:
    """A new user with a profile: both, or neither."""
    user = User(email=email)
    user.set_password(password)  # slow on purpose, so outside of the transaction
    try:
        with db.transaction():
            user.save()
            Profile(user=user, display_name=display_name).save()
    except NotUniqueError:
        raise AddressTakenError from None
    return user


def authenticated(email: str, password: str) -> User | None:
    """The user with this address and password, if the account is active."""
    user = User.by_email(email)
    # Hashes in any case: the time that it takes does not tell which addresses have an account.
    fits = (user or _nobody()).verify_password(password)
    return user if user is not None and fits and user.is_active else None


def log_in(request: HttpRequest, user: User) -> None:
    """Begin a session of ``user``, under a new key: nobody could have planted it before."""
    request.session.cycle_key()
    rotate_token(request)
    request.session[SESSION_KEY] = str(user.pk)


def user_of(request: HttpRequest) -> User | None:
    """The user who is signed in, read once for each request."""
    if _IN_REQUEST not in request.META:
        key = request.session.get(SESSION_KEY)
        user = User.objects(id=ObjectId(key)).first() if key else None
        request.META[_IN_REQUEST] = user if user is not None and user.is_active else None
    found: User | None = request.META[_IN_REQUEST]
    return found


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Gives the user to ``view`` as its second argument, and asks strangers to sign in."""

    @wraps(view)
    def guarded(request: HttpRequest, *arguments: Any, **more: Any) -> HttpResponse:
        user = user_of(request)
        if user is None:
            request.session.flush()  # of somebody who was suspended
            words = urlencode({"next": _asked_for(request)}, safe="/")
            return redirect(f"{reverse('login')}?{words}")
        answer = view(request, user, *arguments, **more)
        add_never_cache_headers(answer)  # after logging out, the back button shows nothing of it
        return answer

    return guarded


def next_page(request: HttpRequest, otherwise: str) -> str:
    """The page of ours that somebody had asked for before logging in."""
    page = request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        page, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return page if ours else reverse(otherwise)


def names_of(users: Iterable[ObjectId]) -> dict[ObjectId, str]:
    """The display names of users, by id, in one query however many there are."""
    profiles = Profile.objects(user__in=set(users)).no_dereference()
    return {profile.user.id: profile.display_name for profile in profiles}


def _asked_for(request: HttpRequest) -> str:
    """The page to come back to: the one asked for, or the one with the form that was sent."""
    if request.method == "GET":
        return request.get_full_path()
    return urlsplit(request.headers.get("Referer", "")).path or "/"


@cache
def _nobody() -> User:
    user = User(email="nobody@example.org")
    user.set_password(secrets.token_urlsafe())
    return user
