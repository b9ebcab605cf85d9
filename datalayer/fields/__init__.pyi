"""Every field with its types: what reading the attribute gives, and what may be assigned."""

from datalayer.fields._containers import (
    DictField as DictField,
)
from datalayer.fields._containers import (
    ListField as ListField,
)
from datalayer.fields._containers import (
    MapField as MapField,
)
from datalayer.fields._containers import (
    SortedListField as SortedListField,
)
from datalayer.fields._embedded import (
    EmbeddedDocumentField as EmbeddedDocumentField,
)
from datalayer.fields._embedded import (
    EmbeddedDocumentList as EmbeddedDocumentList,
)
from datalayer.fields._embedded import (
    EmbeddedDocumentListField as EmbeddedDocumentListField,
)
from datalayer.fields._embedded import (
    GenericEmbeddedDocumentField as GenericEmbeddedDocumentField,
)
from datalayer.fields._field import (
    BaseField as BaseField,
)
from datalayer.fields._field import (
    ComplexBaseField as ComplexBaseField,
)
from datalayer.fields._field import (
    Field as Field,
)
from datalayer.fields._files import (
    FileField as FileField,
)
from datalayer.fields._files import (
    GridFSProxy as GridFSProxy,
)
from datalayer.fields._files import (
    ImageField as ImageField,
)
from datalayer.fields._files import (
    ImageGridFsProxy as ImageGridFsProxy,
)
from datalayer.fields._files import (
    SequenceField as SequenceField,
)
from datalayer.fields._geo import (
    GeoJsonBaseField as GeoJsonBaseField,
)
from datalayer.fields._geo import (
    GeoPointField as GeoPointField,
)
from datalayer.fields._geo import (
    LineStringField as LineStringField,
)
from datalayer.fields._geo import (
    MultiLineStringField as MultiLineStringField,
)
from datalayer.fields._geo import (
    MultiPointField as MultiPointField,
)
from datalayer.fields._geo import (
    MultiPolygonField as MultiPolygonField,
)
from datalayer.fields._geo import (
    PointField as PointField,
)
from datalayer.fields._geo import (
    PolygonField as PolygonField,
)
from datalayer.fields._numbers import (
    BooleanField as BooleanField,
)
from datalayer.fields._numbers import (
    Decimal128Field as Decimal128Field,
)
from datalayer.fields._numbers import (
    DecimalField as DecimalField,
)
from datalayer.fields._numbers import (
    FloatField as FloatField,
)
from datalayer.fields._numbers import (
    IntField as IntField,
)
from datalayer.fields._numbers import (
    LongField as LongField,
)
from datalayer.fields._numbers import (
    MoneyField as MoneyField,
)
from datalayer.fields._references import (
    CASCADE as CASCADE,
)
from datalayer.fields._references import (
    DENY as DENY,
)
from datalayer.fields._references import (
    DO_NOTHING as DO_NOTHING,
)
from datalayer.fields._references import (
    NULLIFY as NULLIFY,
)
from datalayer.fields._references import (
    PULL as PULL,
)
from datalayer.fields._references import (
    CachedReferenceField as CachedReferenceField,
)
from datalayer.fields._references import (
    GenericLazyReferenceField as GenericLazyReferenceField,
)
from datalayer.fields._references import (
    GenericReferenceField as GenericReferenceField,
)
from datalayer.fields._references import (
    LazyReference as LazyReference,
)
from datalayer.fields._references import (
    LazyReferenceField as LazyReferenceField,
)
from datalayer.fields._references import (
    ReferenceField as ReferenceField,
)
from datalayer.fields._text import (
    CurrencyField as CurrencyField,
)
from datalayer.fields._text import (
    EmailField as EmailField,
)
from datalayer.fields._text import (
    NormalizedEmailField as NormalizedEmailField,
)
from datalayer.fields._text import (
    SecretField as SecretField,
)
from datalayer.fields._text import (
    StringField as StringField,
)
from datalayer.fields._text import (
    URLField as URLField,
)
from datalayer.fields._times import (
    ComplexDateTimeField as ComplexDateTimeField,
)
from datalayer.fields._times import (
    DateField as DateField,
)
from datalayer.fields._times import (
    DateTimeField as DateTimeField,
)
from datalayer.fields._times import (
    UTCDateTimeField as UTCDateTimeField,
)
from datalayer.fields._values import (
    BinaryField as BinaryField,
)
from datalayer.fields._values import (
    DynamicField as DynamicField,
)
from datalayer.fields._values import (
    EnumField as EnumField,
)
from datalayer.fields._values import (
    ObjectIdField as ObjectIdField,
)
from datalayer.fields._values import (
    RawDictField as RawDictField,
)
from datalayer.fields._values import (
    UUIDField as UUIDField,
)
