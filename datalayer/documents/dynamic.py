"""The base classes of documents that take fields which their class doesn't name."""

from __future__ import annotations

import mongoengine

from datalayer.documents.base import (
    AnalyticsDocument,
    BusinessDocument,
    Document,
    EmbeddedDocument,
)


class DynamicDocument(Document, mongoengine.DynamicDocument):
    """``Document`` that takes any further field, as MongoEngine's ``DynamicDocument`` does.

    Fields that the class names are validated, converted and compared as in any other class;
    the others take what the database can store. Such documents are read and written by
    MongoEngine's own, slower way.
    """

    meta = {"abstract": True}


class DynamicBusinessDocument(BusinessDocument, mongoengine.DynamicDocument):
    """``BusinessDocument`` that takes any further field; see ``DynamicDocument``."""

    meta = {"abstract": True}


class DynamicAnalyticsDocument(AnalyticsDocument, mongoengine.DynamicDocument):
    """``AnalyticsDocument`` that takes any further field; see ``DynamicDocument``."""

    meta = {"abstract": True}


class DynamicEmbeddedDocument(EmbeddedDocument, mongoengine.DynamicEmbeddedDocument):
    """``EmbeddedDocument`` that takes any further field; see ``DynamicDocument``."""

    meta = {"abstract": True}
