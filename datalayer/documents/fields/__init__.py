"""What values mean to fields.

``fields``, ``money``: the fields of our own. ``conversion``, ``scalar_conversion``: one conversion
for constructors, filters and updates, which ``patching`` puts into MongoEngine's fields;
``primary_keys``: that of keys. ``refusals``: the words for what doesn't fit. ``bson_limits``: what
MongoDB can't store.
"""

from datalayer.documents.fields.fields import (
    CurrencyField,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    UTCDateTimeField,
)

__all__ = [
    "CurrencyField",
    "MoneyField",
    "NormalizedEmailField",
    "RawDictField",
    "SecretField",
    "UTCDateTimeField",
]
