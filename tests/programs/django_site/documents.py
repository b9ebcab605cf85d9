"""Users that are documents, for the tests of authentication and of forms."""

from __future__ import annotations

from mongoengine.fields import StringField

from datalayer.contrib.django.auth import AbstractUserDocument


class Visitor(AbstractUserDocument):
    nickname = StringField(max_length=20)

    meta = {"collection": "visitors"}
