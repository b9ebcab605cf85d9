"""User accounts: who may sign in."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from mongoengine.errors import ValidationError

from datalayer.documents import BusinessDocument, NormalizedEmailField, QuerySet, SecretField
from datalayer.errors import ConfigurationError
from datalayer.fields import StringField

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST_PASSWORD = 8  # NIST SP 800-63B, section 3.1.1.2
LONGEST_PASSWORD = 1024  # hashing more would only serve an attacker


class User(BusinessDocument):
    """An account with a unique e-mail address and, where it signs in here, a password.

    The password is kept as an argon2id hash, which stays out of ``to_json``.
    """

    email = NormalizedEmailField(required=True, unique=True)
    password_hash = SecretField(max_length=512)
    status = StringField(
        required=True, choices=("pending", "active", "suspended", "closed"), default="active"
    )

    meta = {
        "collection": "users",
        "indexes": [("status", "-created_at")],
    }

    @property
    def is_active(self) -> bool:
        """Whether the account may be used."""
        return self.status == "active"

    @classmethod
    def by_email(cls, email: str) -> User | None:
        """The user with this address, in whatever spelling of case and Unicode."""
        return cls.objects(email=email).first()

    @classmethod
    def with_status(cls, status: str) -> QuerySet[User]:
        """The users with this status, newest first."""
        return cls.objects(status=status).order_by("-created_at")

    def set_password(self, password: str) -> None:
        """Replace the password; ``save`` makes it last.

        Raises:
            ValidationError: for fewer than 8 or more than 1024 characters.
            ConfigurationError: without argon2-cffi (extra ``security``).
        """
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise ValidationError(
                f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters",
                field_name="password",
            )
        # str() tells type checkers what it is where argon2-cffi isn't installed
        self.password_hash = str(password_hasher().hash(_normal(password)))

    def verify_password(self, password: str) -> bool:
        """Whether ``password`` is the user's. Says nothing about the account's status.

        Where the hash was made with other parameters than today's, it is made anew and stored,
        unless the password was changed meanwhile.

        Raises:
            ConfigurationError: without argon2-cffi (extra ``security``).
        """
        hasher = password_hasher()
        from argon2.exceptions import InvalidHashError, VerificationError

        known = self.password_hash
        if not known or len(password) > LONGEST_PASSWORD:
            return False
        try:
            hasher.verify(known, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        if hasher.check_needs_rehash(known):
            fresh = hasher.hash(_normal(password))
            if type(self).objects(pk=self.pk, password_hash=known).update(password_hash=fresh):
                # As if it had been loaded so: the next save has nothing to write.
                self._data["password_hash"] = fresh
        return True


@cache
def password_hasher() -> PasswordHasher:
    """The hasher with today's parameters: those of RFC 9106 for low memory, argon2-cffi's default.

    Raises:
        ConfigurationError: without argon2-cffi (extra ``security``).
    """
    try:
        import argon2
    except ImportError:
        raise ConfigurationError(
            'passwords need argon2-cffi: pip install "mongoengine-datalayer[security]"'
        ) from None
    return argon2.PasswordHasher()


def _normal(password: str) -> str:
    """NFKC, so that a character gives the same bytes on whatever keyboard it was typed."""
    return unicodedata.normalize("NFKC", password)
