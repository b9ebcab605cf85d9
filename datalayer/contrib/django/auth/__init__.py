"""Users that are documents, for ``django.contrib.auth``: its middleware, forms, views and
decorators work with them.

INSTALLED_APPS += ["datalayer.contrib.django.auth"]
AUTH_USER_MODEL = "datalayer_auth.DocumentUser"
DATALAYER_USER_DOCUMENT = "shop.models.User"
AUTHENTICATION_BACKENDS = ["datalayer.contrib.django.auth.backends.DocumentBackend"]

``documents``: the base classes of users; ``backends``: who may sign in, and what they may do;
``models``: what stands where Django asks for the ORM's model; ``user_document``: which document it
is; ``checks``: what does not fit together.
"""

from __future__ import annotations

from datalayer.contrib.django.auth.documents import AbstractBaseUserDocument, AbstractUserDocument
from datalayer.contrib.django.auth.user_document import get_user_document

__all__ = ["AbstractBaseUserDocument", "AbstractUserDocument", "get_user_document"]
