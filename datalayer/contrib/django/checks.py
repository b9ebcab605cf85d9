"""System checks: what is wrong with the settings, and what is not fit for production."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning
from django.core.checks import register as register_check
from django.utils.module_loading import import_string

from datalayer.contrib.django.middleware import CausalReadsMiddleware, ConnectMiddleware
from datalayer.contrib.django.settings import read_settings, status_token
from datalayer.doctor import Finding, examine
from datalayer.errors import ConfigurationError
from datalayer.settings import Settings
from datalayer.web import Endpoints

_CONNECT = "datalayer.contrib.django.middleware.ConnectMiddleware"
_EXAMINE_SECONDS = 10.0


def register() -> None:
    """Tell Django of the checks; a check that is known already is not added again."""
    register_check(check_settings, "datalayer")
    register_check(check_middleware, "datalayer")
    register_check(check_sessions, "datalayer")
    register_check(check_views, "datalayer")
    register_check(check_for_production, "datalayer", Tags.security, deploy=True)
    # Among the deployment checks too, because migrate and test run the others of this tag.
    register_check(check_servers, Tags.database, deploy=True)


def check_settings(**_options: Any) -> list[CheckMessage]:
    """E001 for each problem of the settings, E002 for a token that could be guessed."""
    found = [
        Error(
            problem,
            hint="Correct it in the dict DATALAYER of the settings, in the environment or in "
            ".env; `manage.py datalayer_config` shows where each value comes from.",
            id="datalayer.E001",
        )
        for problem in _read()[1]
    ]
    try:
        Endpoints(token=status_token())  # as the views make them
    except ConfigurationError as exc:
        hint = "Make a longer one, and keep it out of the repository."
        found.append(Error(str(exc), hint=hint, id="datalayer.E002"))
    return found


def check_middleware(**_options: Any) -> list[CheckMessage]:
    """W001 where nothing connects at the first request, E003 where it comes too late."""
    kinds = [_imported(name) for name in django_settings.MIDDLEWARE]
    connecting, reading = (
        _place_of(ConnectMiddleware, kinds),
        _place_of(CausalReadsMiddleware, kinds),
    )
    if connecting is None:
        return [
            Warning(
                "MIDDLEWARE has no ConnectMiddleware, so no request connects the databases.",
                hint=f'Put "{_CONNECT}" first in MIDDLEWARE, or call '
                "datalayer.contrib.django.connect() where each process starts and silence this "
                "warning.",
                id="datalayer.W001",
            )
        ]
    if reading is not None and reading < connecting:
        return [
            Error(
                "CausalReadsMiddleware comes before ConnectMiddleware in MIDDLEWARE.",
                hint=f'Put "{_CONNECT}" first.',
                id="datalayer.E003",
            )
        ]
    return []


def check_sessions(**_options: Any) -> list[CheckMessage]:
    """E007 for sessions in a database that is none of the settings'."""
    settings, _ = _read()
    alias = getattr(django_settings, "DATALAYER_SESSION_ALIAS", "database1")
    is_ours = django_settings.SESSION_ENGINE.startswith("datalayer.contrib.django.")
    if settings is None or not is_ours or alias in settings:
        return []
    return [
        Error(
            f"DATALAYER_SESSION_ALIAS is {alias!r}, which is no alias of DATALAYER.",
            hint=f"The aliases are {', '.join(map(repr, settings))}; name another in "
            "DATALAYER_ALIASES.",
            id="datalayer.E007",
        )
    ]


def check_views(**options: Any) -> list[CheckMessage]:
    """E006 for Django's own generic views with a document."""
    from datalayer.contrib.django.generic.checks import check_views  # the project's views, now

    return check_views(**options)


def check_for_production(**_options: Any) -> list[CheckMessage]:
    """W002 for transport without verified TLS, E004 for databases that end with the process."""
    settings, _ = _read()
    if settings is None:
        return []  # E001 says why
    found: list[CheckMessage] = [
        Warning(
            warning,
            hint="DATALAYER_REQUIRE_TLS=true makes insecure connections an error.",
            id="datalayer.W002",
        )
        for warning in settings.warnings
    ]
    for alias, each in settings.items():
        if each.kind != "mongodb":
            found.append(
                Error(
                    f"{alias!r} is {each.kind}://, which each process has for itself and which "
                    "is gone when the process ends.",
                    hint="Use the mongodb:// URI of a server in production.",
                    id="datalayer.E004",
                )
            )
    return found


def check_servers(
    *, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """E005 and W003: the errors and warnings of ``datalayer doctor``, which asks the servers.

    Runs only where ``manage.py check`` is told ``--deploy --database``.
    """
    settings, _ = _read()
    if not databases or settings is None:
        return []
    report = examine(settings, timeout=_EXAMINE_SECONDS)
    return list(_messages(report.findings))


def _messages(findings: Sequence[Finding]) -> Iterator[CheckMessage]:
    for finding in findings:
        about = f"{finding.alias or 'all databases'}: {finding.saw}"
        hint = finding.advice or "See `manage.py datalayer_doctor`."
        if finding.severity == "error":
            yield Error(about, hint=hint, id="datalayer.E005")
        elif finding.severity == "warning" and finding.check not in ("settings", "options"):
            yield Warning(about, hint=hint, id="datalayer.W003")


def _read() -> tuple[Settings | None, Sequence[str]]:
    """The settings, or all that is wrong with them."""
    try:
        return read_settings(), ()
    except ConfigurationError as exc:
        return None, exc.problems


def _imported(name: str) -> object:
    try:
        return import_string(name)
    except ImportError:
        return None  # Django itself says so when it loads the middleware


def _place_of(kind: type, kinds: Sequence[object]) -> int | None:
    for place, each in enumerate(kinds):
        if isinstance(each, type) and issubclass(each, kind):
            return place
    return None
