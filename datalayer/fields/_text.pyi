"""Fields of text."""

import re
from collections.abc import Sequence
from typing import Any, Literal, overload

from typing_extensions import TypeVar

from datalayer.fields._field import (
    Choices,
    Default,
    Field,
    UniqueWith,
    Validation,
)

TextGet = TypeVar("TextGet", covariant=True, default=str | None)
TextSet = TypeVar("TextSet", contravariant=True, default=str | None)

class StringField(Field[TextGet, TextSet]):
    """Text."""

    @overload
    def __init__(
        self: StringField[str, str | None],
        *args: Any,
        default: Default[str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: StringField[str, str], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: StringField[str, str], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: StringField[str | None, str | None],
        regex: str | None = None,
        max_length: int | None = None,
        min_length: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class URLField(StringField[TextGet, TextSet]):
    """A URL, as text."""

    @overload
    def __init__(
        self: URLField[str, str | None],
        *args: Any,
        default: Default[str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: URLField[str, str], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: URLField[str, str], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: URLField[str | None, str | None],
        url_regex: re.Pattern[str] | None = None,
        schemes: Sequence[str] | None = None,
        max_length: int | None = None,
        min_length: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class EmailField(StringField[TextGet, TextSet]):
    """An e-mail address."""

    @overload
    def __init__(
        self: EmailField[str, str | None],
        *args: Any,
        default: Default[str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EmailField[str, str], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: EmailField[str, str], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: EmailField[str | None, str | None],
        domain_whitelist: Sequence[str] | None = None,
        allow_utf8_user: bool = False,
        allow_ip_domain: bool = False,
        max_length: int | None = None,
        min_length: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class SecretField(StringField[TextGet, TextSet]):
    """Text that ``to_json`` leaves out."""

    @overload
    def __init__(
        self: SecretField[str, str | None],
        *args: Any,
        default: Default[str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: SecretField[str, str], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: SecretField[str, str], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: SecretField[str | None, str | None],
        *,
        regex: str | None = None,
        max_length: int | None = None,
        min_length: int | None = None,
        db_field: str | None = None,
        required: bool = False,
        default: Default[str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class NormalizedEmailField(EmailField[TextGet, TextSet]):
    """An e-mail address in one spelling."""

    @overload
    def __init__(
        self: NormalizedEmailField[str, str | None],
        *args: Any,
        default: Default[str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: NormalizedEmailField[str, str], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: NormalizedEmailField[str, str],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: NormalizedEmailField[str | None, str | None],
        *,
        domain_whitelist: Sequence[str] | None = None,
        allow_utf8_user: bool = True,
        allow_ip_domain: bool = False,
        max_length: int | None = None,
        min_length: int | None = None,
        db_field: str | None = None,
        required: bool = False,
        default: Default[str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class CurrencyField(StringField[TextGet, TextSet]):
    """A currency's three letters."""

    @overload
    def __init__(
        self: CurrencyField[str, str | None],
        *args: Any,
        default: Default[str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: CurrencyField[str, str], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: CurrencyField[str, str], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: CurrencyField[str | None, str | None],
        regex: str | None = None,
        max_length: int | None = None,
        min_length: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...
