"""Every field under one roof, and with types: MongoEngine's own classes, and datalayer's.

``from datalayer.fields import StringField`` gives the very class that MongoEngine has. What type
checkers read are the stubs beside this file: a field is a ``Field[Get, Set]``, of what reading the
attribute gives and of what may be assigned to it.
"""

from __future__ import annotations

from typing import Any

from mongoengine.base import (
    BaseField,
    ComplexBaseField,
    EmbeddedDocumentList,
    GeoJsonBaseField,
    LazyReference,
)
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    CachedReferenceField,
    ComplexDateTimeField,
    DateField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EmailField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    FileField,
    FloatField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    GeoPointField,
    GridFSProxy,
    ImageField,
    ImageGridFsProxy,
    IntField,
    LazyReferenceField,
    LineStringField,
    ListField,
    LongField,
    MapField,
    MultiLineStringField,
    MultiPointField,
    MultiPolygonField,
    ObjectIdField,
    PointField,
    PolygonField,
    ReferenceField,
    SequenceField,
    SortedListField,
    StringField,
    URLField,
    UUIDField,
)
from mongoengine.queryset import CASCADE, DENY, DO_NOTHING, NULLIFY, PULL

from datalayer.documents.fields import (
    CurrencyField,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    UTCDateTimeField,
)

Field = BaseField

__all__ = [  # noqa: RUF022 # by the alphabet, as in the other modules
    "BaseField",
    "BinaryField",
    "BooleanField",
    "CASCADE",
    "CachedReferenceField",
    "ComplexBaseField",
    "ComplexDateTimeField",
    "CurrencyField",
    "DENY",
    "DO_NOTHING",
    "DateField",
    "DateTimeField",
    "Decimal128Field",
    "DecimalField",
    "DictField",
    "DynamicField",
    "EmailField",
    "EmbeddedDocumentField",
    "EmbeddedDocumentList",
    "EmbeddedDocumentListField",
    "EnumField",
    "Field",
    "FileField",
    "FloatField",
    "GenericEmbeddedDocumentField",
    "GenericLazyReferenceField",
    "GenericReferenceField",
    "GeoJsonBaseField",
    "GeoPointField",
    "GridFSProxy",
    "ImageField",
    "ImageGridFsProxy",
    "IntField",
    "LazyReference",
    "LazyReferenceField",
    "LineStringField",
    "ListField",
    "LongField",
    "MapField",
    "MoneyField",
    "MultiLineStringField",
    "MultiPointField",
    "MultiPolygonField",
    "NULLIFY",
    "NormalizedEmailField",
    "ObjectIdField",
    "PULL",
    "PointField",
    "PolygonField",
    "RawDictField",
    "ReferenceField",
    "SecretField",
    "SequenceField",
    "SortedListField",
    "StringField",
    "URLField",
    "UTCDateTimeField",
    "UUIDField",
]


def _itself(cls: Any, parameters: Any) -> Any:
    return cls


# Annotations such as ``Field[User | None]`` and ``class Slug(StringField[str, str])`` run too.
for _generic in (BaseField, EmbeddedDocumentList, LazyReference):
    if "__class_getitem__" not in vars(_generic):
        _generic.__class_getitem__ = classmethod(_itself)
