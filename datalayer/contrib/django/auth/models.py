"""Stands where Django asks the ORM for the model of users. It has no table and holds no user: what
its manager finds are documents."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from mongoengine.errors import ValidationError

from datalayer.contrib.django.auth.user_document import get_user_document
from datalayer.contrib.django.connecting import connect
from datalayer.documents.fields.conversion import key_of


class _DocumentKey(models.Field):
    """The key of a user's document, between what a session holds and what MongoDB has."""

    def to_python(self, value: Any) -> Any:
        try:
            return key_of(get_user_document(), value)
        except ValidationError:
            return value  # of no document: the backend finds nobody

    def value_to_string(self, obj: Any) -> str:
        return str(obj.pk)

    def get_internal_type(self) -> str:
        return "CharField"


class DocumentUserManager(models.Manager):
    """``get_user_model().objects``: the documents of users, by MongoEngine's querysets."""

    def get_queryset(self) -> Any:
        """All users. Connects in a process that has not, such as ``createsuperuser``'s."""
        connect()
        return get_user_document().objects

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The one user; where there is none, the model's error is raised, as Django expects."""
        document = get_user_document()
        try:
            return self.get_queryset().get(*args, **kwargs)
        except (document.DoesNotExist, ValidationError) as exc:
            raise self.model.DoesNotExist(str(exc)) from exc

    def get_by_natural_key(self, username: str) -> Any:
        """The user who signs in as ``username``."""
        document = get_user_document()
        return self.get(**{document.USERNAME_FIELD: document.normalize_username(username)})

    def create_user(self, username: Any = None, **fields: Any) -> Any:
        """A new user, saved."""
        return self._create("create_user", username, fields)

    def create_superuser(self, username: Any = None, **fields: Any) -> Any:
        """A new user who may do everything, saved."""
        return self._create("create_superuser", username, fields)

    def _create(self, how: str, username: Any, fields: dict[str, Any]) -> Any:
        connect()
        document = get_user_document()
        if username is not None:
            fields[document.USERNAME_FIELD] = username
        return getattr(document, how)(**fields)


def _document() -> Any:
    """The document of users; ``None`` where it is not set, which the checks tell."""
    return get_user_document() if getattr(settings, "DATALAYER_USER_DOCUMENT", None) else None


def _field(name: str) -> models.Field:
    """What Django's forms and commands ask of a field of the document: its name and length."""
    field = None if _USERS is None else _USERS._fields.get(name)
    shown = getattr(field, "verbose_name", None) or name.replace("_", " ")
    length = getattr(field, "max_length", None) or 254
    return models.CharField(shown, max_length=length, unique=name == DocumentUser.USERNAME_FIELD)


_USERS = _document()


class DocumentUser(models.Model):
    """For ``AUTH_USER_MODEL``; the users are those of ``DATALAYER_USER_DOCUMENT``."""

    id = _DocumentKey(primary_key=True, editable=False)
    password = models.CharField("password", max_length=128)

    objects = DocumentUserManager()

    USERNAME_FIELD = "username" if _USERS is None else _USERS.USERNAME_FIELD
    EMAIL_FIELD = "email" if _USERS is None else _USERS.get_email_field_name()
    REQUIRED_FIELDS = () if _USERS is None else tuple(_USERS.REQUIRED_FIELDS)
    is_anonymous = False
    is_authenticated = True

    class Meta:  # noqa: D106 - Django's
        managed = False
        app_label = "datalayer_auth"
        verbose_name = "user"

    @classmethod
    def get_email_field_name(cls) -> str:
        """The name of the field with the address."""
        return cls.EMAIL_FIELD

    @classmethod
    def normalize_username(cls, username: Any) -> Any:
        """The name in its normal spelling."""
        return username if _USERS is None else _USERS.normalize_username(username)


for _name in (DocumentUser.USERNAME_FIELD, *DocumentUser.REQUIRED_FIELDS):
    DocumentUser.add_to_class(_name, _field(_name))
