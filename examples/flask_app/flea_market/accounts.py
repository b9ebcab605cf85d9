"""Accounts: sign up, sign in, sign out, and who is there."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import cache, wraps
from typing import Any
from urllib.parse import urlsplit

from bson import ObjectId
from flask import (
    Blueprint,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue

from datalayer import db
from datalayer.contrib.flask import regenerate_session, remembered
from datalayer.documents import NotUniqueError
from datalayer.models import Profile, User
from flea_market.forms import again, errors_of, secret, taking, text
from flea_market.web import done

blueprint = Blueprint("accounts", __name__)

# Browsers read "//", "/\" and a "/" before a tab as the beginning of another site's address.
_OUR_PAGE = re.compile(r"/(?:[^/\\\s].*)?")


def current_user() -> User | None:
    """Who is signed in; asked for once in a request, and only where somebody wants to know."""
    if "user" not in g:
        key = session.get("user_id")
        found = User.objects(pk=ObjectId(key)).first() if key else None
        g.user = found if found is not None and found.is_active else None
    user: User | None = g.user
    return user


def signed_in(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """The view is for people who have signed in; it gets them as its first argument."""

    @wraps(view)
    def guarded(**arguments: Any) -> ResponseReturnValue:
        user = current_user()
        if user is not None:
            return view(user, **arguments)
        if request.is_json:
            abort(401, "Sign in first.")
        session.clear()  # of somebody who was suspended
        return redirect(url_for("accounts.show_sign_in", next=_asked_for()))

    return guarded


def next_page(otherwise: str) -> str:
    """The page of ours that somebody had asked for before signing in."""
    page = request.args.get("next", "")
    return page if _OUR_PAGE.fullmatch(page) else url_for(otherwise)


@remembered(lambda: session.get("user_id"))
def is_admin() -> bool:
    """Whether somebody is signed in who may see the status page; for an hour also while the
    database is away, which is when they need it."""
    user = current_user()
    return user is not None and user.email in current_app.config["ADMINS"]


@blueprint.app_context_processor
def for_templates() -> dict[str, Any]:
    return {"current_user": current_user, "is_admin": is_admin}


@db.transactional
def create_account(user: User, profile: Profile) -> None:
    """Both or none; done again by itself when the primary changes meanwhile."""
    user.save(force_insert=True)
    profile.save(force_insert=True)


@blueprint.get("/sign-up")
def show_sign_up() -> str:
    return render_template("sign_up.html")


@blueprint.post("/sign-up")
def sign_up() -> ResponseReturnValue:
    user = User(id=ObjectId())
    profile = Profile(user=user)
    errors = errors_of(
        *taking(profile, "display_name"),
        profile.validate,
        *taking(user, "email"),  # nobody sets a status by adding a field
        user.validate,
        lambda: user.set_password(secret("password")),
    )
    if errors:
        return again("sign_up.html", errors)
    try:
        create_account(user, profile)
    except NotUniqueError:
        return again("sign_up.html", {"email": "There is an account with this address."}, 409)
    _remember(user)
    return done(next_page("people.edit"), f"Welcome, {profile.display_name}!", id=str(user.pk))


@blueprint.get("/sign-in")
def show_sign_in() -> str:
    return render_template("sign_in.html")


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    user = User.by_email(text("email"))
    # Hashes in any case: the time that it takes does not tell which addresses have an account.
    fits = (user or _nobody()).verify_password(secret("password"))
    if user is None or not fits or not user.is_active:
        return again("sign_in.html", {"password": "The address or the password is wrong."}, 401)
    _remember(user)
    return done(next_page("offers.home"), id=str(user.pk))


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    session.clear()
    return done(url_for("offers.home"), "You are signed out.")


def _remember(user: User) -> None:
    session.clear()  # whatever a visitor before had, ends here
    regenerate_session()  # so does what somebody else may have learnt of the session's identifier
    session["user_id"] = str(user.pk)


def _asked_for() -> str:
    """The page to come back to: the one asked for, or the one with the form that was sent."""
    if request.method == "GET":
        return request.full_path.removesuffix("?")
    return urlsplit(request.referrer or "").path or "/"


@cache
def _nobody() -> User:
    user = User(email="nobody@example.org")
    user.set_password(secrets.token_urlsafe())
    return user
