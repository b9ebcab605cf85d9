"""Fields for what business data needs and MongoEngine leaves open: time zones, secrets, money."""

from __future__ import annotations

import decimal
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from bson import BSON, Decimal128
from bson.errors import BSONError
from mongoengine.base import BaseField
from mongoengine.fields import DateTimeField, Decimal128Field, EmailField, StringField

from datalayer.documents.fields.bson_limits import RawMapping
from datalayer.documents.fields.money import CURRENCIES, not_an_amount
from datalayer.documents.times import in_utc


class _Typed(BaseField):
    """Tells type checkers that an attribute holds a value rather than the field."""

    if TYPE_CHECKING:

        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: Any) -> None: ...


class _ConvertingField(_Typed):
    """Converts a value already where it is assigned: what you hold is what you reload.

    ``converts_on_first_read`` gives the engine the word that assigning does no more than that:
    so a loaded value may wait until it is read.
    """

    converts_on_first_read: ClassVar[bool] = False

    def __set__(self, instance: Any, value: Any) -> None:
        if value is None and not self.null and self.default is not None:
            value = self.default() if callable(self.default) else self.default
        super().__set__(instance, None if value is None else self.to_python(value))


class UTCDateTimeField(_ConvertingField, DateTimeField):
    """A point in time: always aware, in UTC, cut to the millisecond, from assignment on.

    Aware values are converted; naive values and dates are taken to be UTC. Strings are read as
    ISO 8601 (and in the formats of MongoEngine's ``DateTimeField``).
    """

    converts_on_first_read = True
    stores_utc_as_it_is = True  # the engine need not ask ``to_mongo`` of such a value

    def to_python(self, value: Any) -> Any:
        """What the attribute holds; a value that is no point in time is left to ``validate``."""
        moment = self._moment(value)
        return value if moment is None else moment

    def to_mongo(self, value: Any) -> Any:
        """What is stored; ``None`` for what is no point in time."""
        return self._moment(value)

    def error(self, message: str = "", errors: Any = None, field_name: Any = None) -> None:
        """Refuse a value, without showing it as MongoEngine's message does."""
        if message.startswith("cannot parse date"):
            message = "a point in time is a datetime, a date or text such as 2024-01-31T12:00:00Z"
        super().error(message, errors, field_name)

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        """Look for the point in time; what is none never stands for "has none"."""
        if value is not None:
            self.validate(value)
        return self._moment(value)

    def _moment(self, value: Any) -> datetime | None:
        if type(value) is datetime and value.tzinfo is UTC:
            return in_utc(value)  # what an attribute holds; a subclass may be anything
        try:
            if isinstance(value, str):
                return in_utc(datetime.fromisoformat(value.strip()))
        except (OverflowError, ValueError):
            pass
        moment = super().to_mongo(value)
        try:
            return in_utc(moment) if isinstance(moment, datetime) else None
        except OverflowError:  # before the year 1 or after 9999, in UTC
            return None


class SecretField(_Typed, StringField):
    """A string that ``to_json`` leaves out, such as a password's hash or an access token.

    It is stored and loaded like any other. Any field may be marked so with ``secret=True``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"secret": True, **kwargs})


class NormalizedEmailField(_ConvertingField, EmailField):
    """An e-mail address in the one spelling under which it is stored, searched and unique.

    Unicode NFKC, case-folded, without surrounding space, when it is assigned and in queries.
    """

    converts_on_first_read = True
    # MongoEngine puts the value into the message; of this one it takes no character.
    error_msg = "an e-mail address is written as name@example.org; this text is none%.0s"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_utf8_user": True, "max_length": 254, **kwargs})

    def to_python(self, value: Any) -> Any:
        """The normal spelling."""
        if not isinstance(value, str):
            return value
        return unicodedata.normalize("NFKC", value).casefold().strip()

    def to_mongo(self, value: Any) -> Any:
        """The normal spelling."""
        return self.to_python(value)

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        """Look for the normal spelling; a regular expression has its own."""
        is_spelled = op not in ("regex", "iregex")
        return super().prepare_query_value(op, self.to_python(value) if is_spelled else value)


class MoneyField(_ConvertingField, Decimal128Field):
    """An amount of money: a ``Decimal`` in Python, ``Decimal128`` in the database.

    Takes ``Decimal``, ``int`` and strings such as ``"12.50"``. A ``float`` is refused, since
    0.1 has no exact binary form. The number of places depends on the currency, which stands in
    another field: see ``exact_amount``.
    """

    converts_on_first_read = True

    def to_python(self, value: Any) -> Any:
        """A ``Decimal``; what is no amount is left to ``validate``."""
        if isinstance(value, Decimal128):
            return value.to_decimal()
        if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
            return value
        try:
            return Decimal(value)
        except decimal.InvalidOperation:
            return value

    def to_mongo(self, value: Any) -> Any:
        """A ``Decimal128``, exactly; anything inexact raises ``ValidationError``."""
        if value is None:
            return None
        amount = self.to_python(value)
        if not isinstance(amount, Decimal):
            self.error(not_an_amount(amount))
        if not amount.is_finite():
            self.error("an amount of money is a finite number")
        try:
            return Decimal128(amount)
        except decimal.DecimalException:
            return self.error("an amount of money has at most 34 digits")

    def validate(self, value: Any) -> None:
        """Check the amount and its limits."""
        super().validate(self.to_mongo(value))

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        """Look for the exact amount; lists are those of ``in`` and ``nin``."""
        if isinstance(value, (list, tuple, set)):
            return [self.to_mongo(each) for each in value]
        return super().prepare_query_value(op, value)


class CurrencyField(_Typed, StringField):
    """The three letters of a currency in use, by ISO 4217."""

    def validate(self, value: Any) -> None:
        """Refuse codes that name no currency."""
        super().validate(value)
        if value not in CURRENCIES:
            self.error("a currency is one of the three-letter codes of ISO 4217, in capitals")


class RawDictField(_Typed):
    """A mapping that is stored and loaded as it is: no references, no classes, no look inside.

    ``max_bytes`` limits its size as BSON. A change inside it isn't noticed: assign it anew.
    Unlike elsewhere, keys may hold dots and begin with a dollar sign; such can't be queried.
    """

    def __init__(self, *, max_bytes: int | None = None, **kwargs: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**kwargs)

    def validate(self, value: Any, clean: bool = True) -> None:
        """Refuse what isn't a mapping, what BSON can't hold, and what is too large."""
        if not isinstance(value, Mapping):
            self.error("must be a mapping")
        try:
            size = len(BSON.encode(value))
        except (BSONError, OverflowError, RecursionError, TypeError, ValueError) as exc:
            self.error(f"holds something that BSON can't: {type(exc).__name__}")
        if self.max_bytes is not None and size > self.max_bytes:
            self.error(f"takes {size} bytes, more than {self.max_bytes}")

    def to_mongo(self, value: Any) -> Any:
        """The mapping, marked as one whose keys are its own affair."""
        return RawMapping(value) if isinstance(value, Mapping) else value

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        """The mapping, for updates."""
        return self.to_mongo(super().prepare_query_value(op, value))
