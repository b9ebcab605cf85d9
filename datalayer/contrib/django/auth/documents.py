"""What Django's authentication asks of a user, as base documents to derive one's own from."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth import get_backends, password_validation
from django.contrib.auth.hashers import check_password, is_password_usable, make_password
from django.core.exceptions import PermissionDenied
from django.core.mail import send_mail
from django.utils.crypto import salted_hmac

from datalayer.documents import BusinessDocument, utc_now
from datalayer.fields import (
    BooleanField,
    EmailField,
    ListField,
    SecretField,
    StringField,
    UTCDateTimeField,
)

_SALT = "datalayer.contrib.django.auth.session"


class _Key:
    """Gives the key of a user as the text that a session holds; Django looks for it in
    ``_meta.pk``."""

    def value_to_string(self, user: Any) -> str:
        return str(user.pk)


class AbstractBaseUserDocument(BusinessDocument):
    """A user with a password and the time of the last login; the name to sign in with, and all
    else, is for the class that is derived from it.

    ``USERNAME_FIELD`` names the field to sign in with, which should be unique, ``EMAIL_FIELD``
    the one with the address, and ``REQUIRED_FIELDS`` what ``createsuperuser`` asks for besides.
    Passwords are hashed by Django's ``PASSWORD_HASHERS``, and stay out of ``to_json``.
    """

    password = SecretField(max_length=128)
    last_login = UTCDateTimeField()

    USERNAME_FIELD: ClassVar[str] = "username"
    EMAIL_FIELD: ClassVar[str] = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    is_active: Any = True
    is_staff: Any = False
    is_superuser: Any = False
    is_authenticated = True
    is_anonymous = False

    meta = {"abstract": True}

    _new_password: str | None = None  # until it is saved, for validators that keep a history

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls._meta.get("abstract"):
            cls._meta.pk = _Key()

    def __str__(self) -> str:
        return self.get_username()

    @classmethod
    def normalize_username(cls, username: Any) -> Any:
        """Unicode NFKC, as Django does it: what looks the same is the same name."""
        is_text = isinstance(username, str)
        return unicodedata.normalize("NFKC", username) if is_text else username

    @classmethod
    def get_email_field_name(cls) -> str:
        """The name of the field with the address."""
        return cls.EMAIL_FIELD

    @classmethod
    def get_by_natural_key(cls, username: str) -> Self:
        """The user who signs in as ``username``.

        Raises:
            DoesNotExist: where there is none.
        """
        found: Self = cls.objects.get(**{cls.USERNAME_FIELD: cls.normalize_username(username)})
        return found

    def natural_key(self) -> tuple[str]:
        """The name to sign in with, as a tuple."""
        return (self.get_username(),)

    def clean(self) -> None:
        """Called before it is validated: the name in its normal spelling."""
        super().clean()
        setattr(self, self.USERNAME_FIELD, self.normalize_username(self.get_username()))

    def save(self, *args: Any, **kwargs: Any) -> Self:
        """Save the user, and tell the validators of passwords of a new one."""
        saved: Self = super().save(*args, **kwargs)
        if self._new_password is not None:
            password_validation.password_changed(self._new_password, self)
            self._new_password = None
        return saved

    def get_username(self) -> str:
        """What the user signs in with."""
        name: str = getattr(self, self.USERNAME_FIELD)
        return name

    def set_password(self, raw_password: str | None) -> None:
        """Replace the password; ``save`` makes it last. ``None`` makes it unusable."""
        self.password = make_password(raw_password)
        self._new_password = raw_password

    def set_unusable_password(self) -> None:
        """For users who sign in elsewhere."""
        self.set_password(None)

    def has_usable_password(self) -> bool:
        """Whether some password would do."""
        return bool(self.password) and is_password_usable(self.password)

    def check_password(self, raw_password: str) -> bool:
        """Whether it is the user's. A hash of another algorithm or another effort than today's is
        then made anew and stored, unless the password was changed meanwhile."""
        known = self.password

        def renew(raw: str) -> None:
            fresh = make_password(raw)
            if type(self).objects(pk=self.pk, password=known).update(password=fresh):
                self._data["password"] = fresh  # as if loaded so: nothing is left to save

        return bool(check_password(raw_password, known, renew))

    async def acheck_password(self, raw_password: str) -> bool:
        """``check_password``, in a thread."""
        from asgiref.sync import sync_to_async

        found: bool = await sync_to_async(self.check_password)(raw_password)
        return found

    def get_session_auth_hash(self) -> str:
        """What ties sessions to the password: after a change, other sessions have ended."""
        return self._session_hash(settings.SECRET_KEY)

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same by each of ``SECRET_KEY_FALLBACKS``."""
        return map(self._session_hash, settings.SECRET_KEY_FALLBACKS)

    def _session_hash(self, secret: str) -> str:
        made: str = salted_hmac(
            _SALT, self.password or "", secret=secret, algorithm="sha256"
        ).hexdigest()
        return made

    # What the user may do, as the backends say.

    def get_user_permissions(self, obj: Any = None) -> set[str]:
        """The permissions that the user has."""
        return self._permissions("get_user_permissions", obj)

    def get_group_permissions(self, obj: Any = None) -> set[str]:
        """The permissions by groups; only a backend of your own knows groups."""
        return self._permissions("get_group_permissions", obj)

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        """Both."""
        return self._permissions("get_all_permissions", obj)

    def _permissions(self, name: str, obj: Any) -> set[str]:
        asked = (getattr(backend, name, None) for backend in get_backends())
        return {each for get in asked if get is not None for each in get(self, obj)}

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Whether some backend grants ``perm``; active superusers have every permission."""
        return self._is_granted("has_perm", perm, obj)

    def has_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """Whether the user has each of the permissions."""
        if isinstance(perm_list, str):
            raise ValueError("perm_list is a list of permissions, and not one string")
        return all(self.has_perm(each, obj) for each in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Whether the user has any permission in an application."""
        return self._is_granted("has_module_perms", app_label)

    def _is_granted(self, name: str, *asked: Any) -> bool:
        if self.is_active and self.is_superuser:
            return True
        for backend in get_backends():
            try:
                if hasattr(backend, name) and getattr(backend, name)(self, *asked):
                    return True
            except PermissionDenied:
                return False
        return False


class AbstractUserDocument(AbstractBaseUserDocument):
    """A user with all that Django's own has, but groups.

    ``user_permissions`` are names such as ``"shop.change_offer"``, kept with the user: there are
    no tables of permissions. Which names there are is for your code to say.
    """

    username = StringField(
        required=True, unique=True, max_length=150, regex=r"^[\w.@+-]+\Z", verbose_name="username"
    )
    first_name = StringField(max_length=150)
    last_name = StringField(max_length=150)
    email = EmailField(max_length=254, verbose_name="e-mail address")
    is_staff = BooleanField(default=False)
    is_active = BooleanField(default=True)
    is_superuser = BooleanField(default=False)
    user_permissions = ListField(StringField(max_length=255))
    date_joined = UTCDateTimeField(default=utc_now)

    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    meta = {"abstract": True}

    @classmethod
    def create_user(cls, *, password: str | None = None, **fields: Any) -> Self:
        """A new user, saved. Without a ``password``, none will do.

        Raises:
            NotUniqueError: where the name is taken.
            ValidationError: for what doesn't fit its field.
        """
        if fields.get(cls.EMAIL_FIELD):
            name, at, domain = fields[cls.EMAIL_FIELD].strip().rpartition("@")
            fields[cls.EMAIL_FIELD] = f"{name}{at}{domain.lower()}"
        made = cls(**fields)
        made.set_password(password)
        return made.save(force_insert=True)

    @classmethod
    def create_superuser(cls, *, password: str | None = None, **fields: Any) -> Self:
        """A new user who may do everything, saved."""
        return cls.create_user(
            password=password, **{"is_staff": True, "is_superuser": True, **fields}
        )

    def get_full_name(self) -> str:
        """The first and the last name."""
        return f"{self.first_name or ''} {self.last_name or ''}".strip()

    def get_short_name(self) -> str:
        """The first name."""
        return self.first_name or ""

    def email_user(
        self, subject: str, message: str, from_email: str | None = None, **options: Any
    ) -> None:
        """Send the user an e-mail, as ``django.core.mail.send_mail`` does."""
        send_mail(subject, message, from_email, [getattr(self, self.EMAIL_FIELD)], **options)
