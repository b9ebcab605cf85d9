"""Documents, as type checkers see them: without MongoEngine's bases, which have no types."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, TypeVar

from bson import SON, DBRef
from mongoengine.queryset.visitor import QNode
from pymongo.collection import Collection
from pymongo.database import Database

from datalayer.documents import _errors
from datalayer.documents._conditions import Q
from datalayer.documents._queryset import Objects
from datalayer.documents.querysets.pages.numbered import ListFieldPagination
from datalayer.fields._field import Field
from datalayer.fields._times import UTCDateTimeField
from datalayer.fields._values import ObjectIdField

class BaseDocument:
    """What documents and embedded documents have in common."""

    meta: ClassVar[dict[str, Any]]
    STRICT: ClassVar[bool]
    _meta: ClassVar[Any]
    _fields: ClassVar[dict[str, Field[Any, Any]]]
    _class_name: ClassVar[str]
    _cls: ClassVar[str]
    _data: dict[str, Any]
    _created: bool
    def _get_changed_fields(self) -> list[str]: ...
    def __init__(self, *args: Any, **values: Any) -> None: ...
    def __contains__(self, name: object) -> bool: ...
    def __getitem__(self, name: str) -> Any: ...
    def __setitem__(self, name: str, value: Any) -> None: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def clean(self) -> None: ...
    def validate(self, clean: bool = True) -> None: ...
    def get_text_score(self) -> float: ...
    def to_mongo(
        self, use_db_field: bool = True, fields: Sequence[str] | None = None
    ) -> SON[str, Any]: ...
    def to_json(self, *args: Any, **kwargs: Any) -> str: ...
    @classmethod
    def from_json(cls, json_data: str, created: bool = False, **kwargs: Any) -> Self: ...
    @classmethod
    def from_input(cls, data: Mapping[str, Any], *, allow: Iterable[str]) -> Self: ...
    def update_from_input(self, data: Mapping[str, Any], *, allow: Iterable[str]) -> None: ...
    @classmethod
    def json_schema(cls, dialect: Literal["mongodb", "2020-12"] = "mongodb") -> dict[str, Any]: ...

class EmbeddedDocument(BaseDocument):
    """A part of a document, without a collection of its own."""

    _instance: Any  # the document, or the part, that holds it

class Document(BaseDocument):
    """Base of all documents of datalayer; for a database of your own, name it in ``meta``."""

    # Without a declared type, so that a model may have a key or a queryset class of its own.
    id = ObjectIdField(primary_key=True)
    objects: ClassVar = Objects()
    DoesNotExist: ClassVar[type[_errors.DoesNotExist]]
    MultipleObjectsReturned: ClassVar[type[_errors.MultipleObjectsReturned]]
    my_metaclass: ClassVar[type[type]]
    @property
    def pk(self) -> Any: ...
    @pk.setter
    def pk(self, value: Any) -> None: ...
    def save(
        self,
        force_insert: bool = False,
        validate: bool = True,
        clean: bool = True,
        write_concern: dict[str, Any] | None = None,
        cascade: bool | None = None,
        cascade_kwargs: dict[str, Any] | None = None,
        _refs: Any = None,
        save_condition: Mapping[str, Any] | None = None,
        signal_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self: ...
    def cascade_save(self, **kwargs: Any) -> None: ...
    def modify(
        self, query: Mapping[str, Any] | Q | QNode | None = None, **kwargs: Any
    ) -> bool: ...
    def update(self, **kwargs: Any) -> int: ...
    @classmethod
    def change(
        cls,
        pk: Any,
        function: Callable[[Self], object],
        attempts: int = 5,
        *,
        max_seconds: float = 20.0,
    ) -> Self: ...
    def reload(self, *fields: str | int, **kwargs: Any) -> Self: ...
    def delete(self, signal_kwargs: dict[str, Any] | None = ..., **write_concern: Any) -> None: ...
    def select_related(self, max_depth: int = 1) -> Self: ...
    def paginate_field(
        self,
        field_name: str,
        page: int | str,
        per_page: int | str = 20,
        total: int | None = None,
    ) -> ListFieldPagination: ...
    def to_dbref(self) -> DBRef: ...
    def switch_db(self, db_alias: str | tuple[str, str], keep_created: bool = False) -> Self: ...
    def switch_collection(self, collection_name: str, keep_created: bool = False) -> Self: ...
    @classmethod
    def drop_collection(cls) -> None: ...
    @classmethod
    def create_index(cls, keys: Any, background: bool = False, **kwargs: Any) -> Any: ...
    @classmethod
    def ensure_indexes(cls) -> None: ...
    @classmethod
    def list_indexes(cls) -> list[Any]: ...
    @classmethod
    def compare_indexes(cls) -> dict[str, Any]: ...
    @classmethod
    def register_delete_rule(cls, document_cls: Any, field_name: str, rule: int) -> None: ...
    @classmethod
    def _get_collection(cls) -> Collection[Any]: ...
    @classmethod
    def _get_collection_name(cls) -> str: ...
    @classmethod
    def _get_db(cls) -> Database[Any]: ...

class StampedDocument(Document):
    """Adds the time stamps, which every save and every update through the queryset sets."""

    created_at = UTCDateTimeField(required=True)
    updated_at = UTCDateTimeField(required=True)

class BusinessDocument(StampedDocument):
    """Base of the models whose data must not be lost: alias ``default``."""

class AnalyticsDocument(StampedDocument):
    """Base of the models for analytics, logs, metrics and history: alias ``database1``."""

class _Dynamic:
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

class DynamicDocument(_Dynamic, Document):
    """``Document`` that takes any further field."""

class DynamicBusinessDocument(_Dynamic, BusinessDocument):
    """``BusinessDocument`` that takes any further field."""

class DynamicAnalyticsDocument(_Dynamic, AnalyticsDocument):
    """``AnalyticsDocument`` that takes any further field."""

class DynamicEmbeddedDocument(_Dynamic, EmbeddedDocument):
    """``EmbeddedDocument`` that takes any further field."""

Base = TypeVar("Base", bound=Document)

def define_model(
    base: type[Base],
    name: str,
    fields: Mapping[str, Field[Any, Any]],
    *,
    indexes: Sequence[Any] = (),
    collection: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> type[Base]: ...
