"""``django.contrib.auth`` with users that are documents: Django's own middleware, views, forms,
decorators, tokens and commands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import auth
from django.contrib.auth.tokens import default_token_generator
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client, override_settings
from django_in_process import django_site
from fresh_databases import model_registry
from mongoengine.errors import NotUniqueError, ValidationError
from paths import PROGRAMS

from datalayer.contrib.django import connect

PASSWORD = "correct horse battery"
CONNECT = "datalayer.contrib.django.middleware.ConnectMiddleware"
BACKEND = "datalayer.contrib.django.auth.backends.DocumentBackend"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {
                        "form.html": "{{ form.as_div }}{{ validlink }}",
                        "subject.txt": "reset",
                        "mail.txt": "/reset/{{ uid }}/{{ token }}/",
                    },
                )
            ]
        },
    }
]


SITE: dict[str, Any] = {
    "ROOT_URLCONF": "django_site.accounts",
    "TEMPLATES": TEMPLATES,
    "LOGIN_URL": "/login",
    "SESSION_ENGINE": "datalayer.contrib.django.sessions",
    "AUTHENTICATION_BACKENDS": [BACKEND],
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "MIDDLEWARE": [
        CONNECT,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
}
APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "datalayer.contrib.django",
    "datalayer.contrib.django.auth",
    "django_site",
]
MODEL = {"INSTALLED_APPS": APPS, "AUTH_USER_MODEL": "datalayer_auth.DocumentUser"}
DOCUMENT = {"DATALAYER_USER_DOCUMENT": "django_site.documents.Visitor"}


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[Client]:
    with (
        django_site(DATALAYER=uris, **SITE),
        model_registry(),
        override_settings(**DOCUMENT),
        override_settings(**MODEL),
    ):
        connect()
        yield Client()


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be sent: which setting says how is another one with each version of Django."""
    sent: list[Any] = []

    def send(mail: Any) -> None:
        sent.append(mail)

    monkeypatch.setattr("django.core.mail.EmailMultiAlternatives.send", send)
    return sent


def visitor() -> Any:
    from django_site.documents import Visitor

    return Visitor


def ada(**fields: Any) -> Any:
    given = {"username": "ada", "email": "ada@example.org", "password": PASSWORD, **fields}
    return auth.get_user_model().objects.create_user(**given)


def log_in(client: Client, password: str = PASSWORD) -> Any:
    return client.post("/login", {"username": "ada", "password": password})


# Signing in and out


def test_django_s_login_view_signs_in_a_document(site: Client) -> None:
    ada()
    answer = log_in(site)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/who")
    assert site.get("/who").json() == {"name": "ada", "known": True}


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(site: Client) -> None:
    ada()
    pages = [
        site.post("/login", {"username": name, "password": "wrong"}).content.decode()
        for name in ("ada", "eve")
    ]
    assert pages[0] == pages[1].replace("eve", "ada")
    assert site.get("/who").json()["known"] is False


def test_an_unknown_name_takes_a_hash_too(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr("datalayer.contrib.django.auth.documents.make_password", hashed.append)
    assert auth.authenticate(username="nobody", password="x") is None
    assert hashed == ["x"]


@pytest.mark.parametrize("name", [{"$ne": None}, ["ada"], None])
def test_credentials_are_never_operators(site: Client, name: Any) -> None:
    ada()
    assert auth.authenticate(username=name, password=PASSWORD) is None


def test_logging_out_ends_the_session(site: Client) -> None:
    ada()
    log_in(site)
    site.post("/logout")
    assert site.get("/who").json() == {"name": "", "known": False}


def test_signing_in_changes_the_session_s_key(site: Client) -> None:
    ada()
    site.get("/who")
    site.cookies["sessionid"] = planted = "p" * 32
    log_in(site)
    assert site.cookies["sessionid"].value != planted


def test_login_required_sends_strangers_to_the_login(site: Client) -> None:
    assert site.get("/mine").headers["Location"] == "/login?next=/mine"
    ada()
    log_in(site)
    assert site.get("/mine").json()["name"] == "ada"


def test_somebody_who_is_no_longer_active_is_a_stranger(site: Client) -> None:
    user = ada()
    log_in(site)
    user.update(is_active=False)
    assert site.get("/who").json()["known"] is False
    assert log_in(Client()).status_code == 200  # the form again


def test_the_test_client_can_force_a_login(site: Client) -> None:
    site.force_login(ada())
    assert site.get("/who").json()["name"] == "ada"


def test_the_asynchronous_user_is_the_same(site: Client) -> None:
    ada()
    log_in(site)
    assert site.get("/who-later").json() == {"name": "ada"}


def test_signing_in_notes_when_and_nothing_else(site: Client) -> None:
    user = ada()
    other = visitor().objects.get(pk=user.pk)
    other.nickname = "countess"
    other.save()
    site.force_login(user)
    stored = visitor().objects.get(pk=user.pk)
    assert stored.last_login is not None
    assert stored.nickname == "countess"


def test_a_session_of_the_orm_s_user_is_a_stranger_s(site: Client) -> None:
    ada()
    log_in(site)
    session = site.session
    session["_auth_user_id"] = "17"
    session.save()
    assert site.get("/who").json()["known"] is False


# Passwords


def test_passwords_are_kept_as_django_s_hashes_and_not_shown(site: Client) -> None:
    user = ada()
    assert user.password.startswith("md5$")
    assert "password" not in user.to_json()
    assert user.check_password(PASSWORD)
    assert not user.check_password("wrong")


def test_a_user_without_a_password_can_t_sign_in(site: Client) -> None:
    user = ada(password=None)
    assert not user.has_usable_password()
    assert auth.authenticate(username="ada", password="") is None


def test_a_hash_of_another_algorithm_is_renewed_at_the_next_login(site: Client) -> None:
    ada()
    stronger = "django.contrib.auth.hashers.ScryptPasswordHasher"
    with override_settings(PASSWORD_HASHERS=[stronger, *SITE["PASSWORD_HASHERS"]]):
        assert auth.authenticate(username="ada", password=PASSWORD) is not None
    assert visitor().objects.get(username="ada").password.startswith("scrypt$")


def test_changing_the_password_ends_the_other_sessions_and_keeps_this_one(site: Client) -> None:
    ada()
    other = Client()
    log_in(site)
    log_in(other)
    new = {"new_password1": "a new and long one", "new_password2": "a new and long one"}
    assert site.post("/password", {"old_password": PASSWORD, **new}).status_code == 302
    assert site.get("/who").json()["known"] is True
    assert other.get("/who").json()["known"] is False


def test_a_session_outlives_a_change_of_the_secret_key_with_fallbacks(site: Client) -> None:
    ada()
    log_in(site)
    from django.conf import settings

    old = settings.SECRET_KEY
    with override_settings(SECRET_KEY="another one" * 5, SECRET_KEY_FALLBACKS=[old]):
        assert site.get("/who").json()["known"] is True


def test_a_forgotten_password_is_reset_by_mail_and_once(site: Client, mails: list[Any]) -> None:
    ada()
    site.post("/forgotten", {"email": "ADA@example.org"})
    (sent,) = mails
    link = sent.body.strip()
    page = site.get(link).headers["Location"]
    new = {"new_password1": "a new and long one", "new_password2": "a new and long one"}
    assert site.post(page, new).status_code == 302
    assert log_in(Client(), "a new and long one").status_code == 302
    assert "True" not in Client().get(link).content.decode()


def test_no_mail_goes_to_whom_nobody_knows_and_none_to_the_inactive(
    site: Client, mails: list[Any]
) -> None:
    from django.contrib.auth.forms import PasswordResetForm

    ada(is_active=False)
    for address in ("ada@example.org", "eve@example.org"):
        form = PasswordResetForm({"email": address})
        assert form.is_valid()
        form.save(
            email_template_name="mail.txt",
            subject_template_name="subject.txt",
            domain_override="shop.example",
        )
    assert mails == []


@pytest.mark.parametrize("uid", ["MTc", "x", "JG5l"])
def test_a_link_of_nobody_is_an_invalid_one(site: Client, uid: str) -> None:
    answer = site.get(f"/reset/{uid}/abc-def/")
    assert answer.status_code == 200
    assert "False" in answer.content.decode()


def test_tokens_end_with_a_login(site: Client) -> None:
    user = ada()
    token = default_token_generator.make_token(user)
    assert default_token_generator.check_token(user, token)
    log_in(site)
    assert not default_token_generator.check_token(visitor().objects.get(), token)


# Permissions


def test_permissions_are_names_kept_with_the_user(site: Client) -> None:
    site.force_login(ada())
    assert site.get("/change").status_code == 403
    visitor().objects.update(user_permissions=["shop.change_offer"])
    assert site.get("/change").status_code == 200
    user = visitor().objects.get()
    assert user.has_perms(["shop.change_offer"])
    assert not user.has_perms(["shop.change_offer", "shop.delete_offer"])
    assert user.has_module_perms("shop")
    assert not user.has_module_perms("sh")
    assert user.get_all_permissions() == {"shop.change_offer"}
    assert not user.has_perm("shop.change_offer", object())


def test_a_superuser_may_everything_and_nothing_when_inactive(site: Client) -> None:
    user = auth.get_user_model().objects.create_superuser(username="root", password=PASSWORD)
    assert (user.is_staff, user.has_perm("any.thing")) == (True, True)
    user.is_active = False
    assert not user.has_perm("any.thing")


# Users


def test_names_are_unique_in_their_normal_spelling(site: Client) -> None:
    ada(username="ﬁona")
    with pytest.raises(NotUniqueError):
        ada(username="fiona")
    assert auth.authenticate(username="ﬁona", password=PASSWORD) is not None


def test_what_is_no_name_is_refused(site: Client) -> None:
    with pytest.raises(ValidationError):
        ada(username="a name")


def test_the_manager_finds_documents_and_raises_the_model_s_error(site: Client) -> None:
    model = auth.get_user_model()
    user = ada()
    assert model.objects.get(pk=str(user.pk)) == user
    assert model.objects.filter(username="ada").count() == 1
    for nothing in ("17", user.pk.__class__()):
        with pytest.raises(model.DoesNotExist):
            model.objects.get(pk=nothing)


def test_createsuperuser_makes_a_document(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command(
        "createsuperuser", "--noinput", username="root", email="r@example.org", verbosity=0
    )
    user = visitor().objects.get(username="root")
    assert user.is_superuser
    assert user.check_password(PASSWORD)


def test_changepassword_finds_the_document(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ada()
    monkeypatch.setattr(
        "django.contrib.auth.management.commands.changepassword.getpass.getpass",
        lambda prompt="": "a new and long one",
    )
    with open("/dev/null", "w") as nowhere:
        call_command("changepassword", "ada", stdout=nowhere)
    assert visitor().objects.get().check_password("a new and long one")


def test_makemigrations_has_nothing_to_do(
    site: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("makemigrations", "--check", "--dry-run")
    assert "No changes detected" in capsys.readouterr().out


def test_all_of_it_works_without_any_sql_database(uris: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAMS / "django_without_sql.py"],
        check=False,
        env={**os.environ, **uris},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "before": [302, "/login?next=/mine"],
        "checks": [],
        "login": 302,
        "mine": "ada",
        "sessions": 1,
        "cleared": 0,
    }


# Checks


def ours() -> list[str]:
    found = run_checks()
    return [str(each.id) for each in found if not str(each.id).startswith("security")]


def test_settings_that_fit_together_pass(site: Client) -> None:
    assert ours() == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"AUTH_USER_MODEL": "auth.User"}, ["datalayer.E011"]),
        (
            {"AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.ModelBackend"]},
            ["datalayer.E012"],
        ),
        ({"DATALAYER_USER_DOCUMENT": "django_site.models.Note"}, ["datalayer.E010"]),
        ({"DATALAYER_USER_DOCUMENT": "django_site.models.Nobody"}, ["datalayer.E010"]),
        ({"DATALAYER_USER_DOCUMENT": None}, ["datalayer.E010"]),
    ],
)
def test_what_does_not_fit_is_told(site: Client, settings: Any, told: list[str]) -> None:
    with override_settings(**settings):
        assert ours() == told


def test_a_document_that_is_no_user_is_refused_by_name(site: Client) -> None:
    from datalayer.contrib.django.auth import get_user_document

    with (
        override_settings(DATALAYER_USER_DOCUMENT="django_site.models.Note"),
        pytest.raises(ImproperlyConfigured, match="has no USERNAME_FIELD, check_password"),
    ):
        get_user_document()


def test_acheck_password_does_the_same(site: Client) -> None:
    user = ada()
    assert asyncio.run(user.acheck_password(PASSWORD))
