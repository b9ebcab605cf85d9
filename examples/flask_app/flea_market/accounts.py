"""Accounts: sign up, sign in, sign out, and who is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

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
from mongoengine.errors import NotUniqueError

from datalayer import db
from datalayer.contrib.flask import remembered
from datalayer.models import Profile, User
from flea_market.web import done, given, text

blueprint = Blueprint("accounts", __name__)


def current_user() -> User | None:
    """Who is signed in; asked for once in a request, and only where somebody wants to know."""
    if "user" not in g:
        key = session.get("user_id")
        found = User.objects(pk=ObjectId(key)).first() if key else None
        g.user = found if found is not None and found.is_active else None
    return g.user


def signed_in(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """The view is for people who have signed in; it gets them as its first argument."""

    @wraps(view)
    def guarded(**arguments: Any) -> ResponseReturnValue:
        user = current_user()
        if user is not None:
            return view(user, **arguments)
        if request.is_json:
            abort(401, "Sign in first.")
        return redirect(url_for("accounts.show_sign_in"))

    return guarded


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
    user.save()
    profile.save()


@blueprint.get("/sign-up")
def show_sign_up() -> str:
    return render_template("sign_up.html")


@blueprint.post("/sign-up")
def sign_up() -> ResponseReturnValue:
    user = User.from_input(given(), allow=["email"])  # nobody sets a status by adding a field
    user.set_password(text("password"))
    profile = Profile.from_input(given(), allow=["display_name"])
    profile.user = user
    try:
        create_account(user, profile)
    except NotUniqueError:
        abort(409, "There is an account with this address.")
    _remember(user)
    return done(url_for("people.edit"), id=str(user.pk))


@blueprint.get("/sign-in")
def show_sign_in() -> str:
    return render_template("sign_in.html")


@blueprint.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    user = User.by_email(text("email"))
    # Hashes in any case: the time that it takes does not tell which addresses have an account.
    fits = (user or _nobody()).verify_password(text("password"))
    if user is None or not fits or not user.is_active:
        abort(401, "The address or the password is wrong.")
    _remember(user)
    return done(url_for("offers.home"), id=str(user.pk))


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    session.clear()
    return done(url_for("offers.home"))


def _remember(user: User) -> None:
    session.clear()  # whatever a visitor before had, ends here
    session["user_id"] = str(user.pk)


@cache
def _nobody() -> User:
    user = User(email="nobody@example.org")
    user.set_password(secrets.token_urlsafe())
    return user
