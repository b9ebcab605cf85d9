"""A document, defined where Django looks for models."""

from __future__ import annotations

from mongoengine.fields import StringField

from datalayer.documents import BusinessDocument


class Note(BusinessDocument):
    text = StringField(required=True)

    meta = {"collection": "notes", "indexes": ["text"]}
