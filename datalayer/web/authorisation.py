"""Who may see more than whether the process is ready: a shared token, kept out of every output."""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from datalayer.errors import ConfigurationError
from datalayer.settings.sources import gather

VARIABLE = "DATALAYER_STATUS_TOKEN"
REMEMBERED_SECONDS = 3600.0
"""How long an application's yes holds while it can't be asked again, since a database is away:
so long may somebody see the status whose right was taken meanwhile."""
_SHORTEST = 16
_PRINTABLE = re.compile("[!-~]+")


class Guard:
    """Compares what a request brings with the token; without a token nobody is let in.

    A probe sends the token as ``Authorization: Bearer``. A browser asks its user for a name and
    a password (HTTP Basic): the password is the token, the name may be any.

    Raises:
        ConfigurationError: for a token that could be guessed, of under 16 characters, and for
            one that a header can't hold as it is.
    """

    def __init__(self, token: str | None) -> None:
        if token is not None and len(token) < _SHORTEST:
            raise ConfigurationError(
                f"the status token ({VARIABLE}) has fewer than {_SHORTEST} characters; make one "
                'with: python -c "import secrets; print(secrets.token_urlsafe(24))"'
            )
        if token is not None and not _PRINTABLE.fullmatch(token):
            raise ConfigurationError(
                f"the status token ({VARIABLE}) may hold printable ASCII only, without spaces"
            )
        self._token = None if token is None else token.encode()

    @classmethod
    def from_env(cls) -> Guard:
        """The guard for ``DATALAYER_STATUS_TOKEN``, from the environment or ``.env``."""
        given = gather(None, {}).get(VARIABLE)
        text = "" if given is None else given.text.strip()
        return cls(text or None)

    def __repr__(self) -> str:
        return f"Guard({'no token' if self._token is None else 'a token'})"

    @property
    def has_token(self) -> bool:
        """Whether there is a token at all."""
        return self._token is not None

    def admits(self, authorization: str | None) -> bool:
        """Whether the request's ``Authorization`` header holds the token."""
        if self._token is None or not authorization:
            return False
        scheme, _, credentials = authorization.strip().partition(" ")
        offered = _offered(scheme.lower(), credentials.strip())
        return offered is not None and hmac.compare_digest(offered, self._token)


def _offered(scheme: str, credentials: str) -> bytes | None:
    if scheme == "bearer":
        return credentials.encode(errors="backslashreplace")
    if scheme != "basic":
        return None
    try:
        name_and_password = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return None
    return name_and_password.partition(b":")[2]
