"""Flask-Admin's view of a model: lists, searches, filters and edits datalayer's documents.

from flask_admin import Admin

from datalayer.contrib.flask.admin import ModelView

admin = Admin(app)
admin.add_view(ModelView(Advertisement))
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from bson.errors import InvalidId
from flask import Response, abort, request, send_file
from gridfs.errors import NoFile
from mongoengine import Q
from mongoengine.fields import (
    Decimal128Field,
    EmailField,
    FileField,
    GridFSProxy,
    ImageGridFsProxy,
    ReferenceField,
    StringField,
    URLField,
)

from datalayer import indexes
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.related.embedded import fields_within
from datalayer.documents.related.gridfs import files_of

if TYPE_CHECKING:
    from datalayer.documents import Document

try:
    from flask_admin import expose
    from flask_admin.contrib.mongoengine import ModelView as MongoEngineView
    from flask_admin.contrib.mongoengine import filters
    from flask_admin.contrib.mongoengine.ajax import QueryAjaxModelLoader
    from flask_admin.contrib.mongoengine.form import CustomModelConverter
    from flask_admin.contrib.mongoengine.helpers import gridfs_content_type
    from flask_admin.contrib.mongoengine.typefmt import (
        DEFAULT_FORMATTERS,
        grid_formatter,
        grid_image_formatter,
    )
    from flask_admin.contrib.mongoengine.view import SORTABLE_FIELDS
    from flask_admin.model.ajax import DEFAULT_PAGE_SIZE
    from flask_admin.model.form import FieldPlaceholder
except ImportError as exc:
    raise ImportError(
        "datalayer.contrib.flask.admin needs Flask-Admin: "
        'pip install "mongoengine-datalayer[admin]"'
    ) from exc

_STAMPS = frozenset({"created_at", "updated_at"})
_LIKE = {"ComplexDateTimeField": "DateTimeField", "Decimal128Field": "DecimalField"}


class _FormConverter(CustomModelConverter):
    """Takes a field that Flask-Admin doesn't know for what it was derived from."""

    def convert(self, model: Any, field: Any, field_args: Any) -> Any:
        if not isinstance(field, FieldPlaceholder):
            if field.name not in (self.view.form_columns or ()) and _is_left_out(model, field):
                return None
            known = _known_name(field, self.converters)
            if known is not None:
                self.converters[type(field).__name__] = self.converters[known]
        return super().convert(model, field, field_args)

    def conv_Decimal(self, model: Any, field: Any, kwargs: Any) -> Any:
        if isinstance(field, Decimal128Field):
            kwargs.setdefault("places", None)  # as many as are stored
        return super().conv_Decimal(model, field, kwargs)


class _Amount:
    """A filter's value that is an exact number."""

    def clean(self, value: str) -> Decimal:
        try:
            return Decimal(value)
        except InvalidOperation:
            raise ValueError("no number") from None


class _AmountEqual(_Amount, filters.FilterEqual):
    pass


class _AmountNotEqual(_Amount, filters.FilterNotEqual):
    pass


class _AmountGreater(_Amount, filters.FilterGreater):
    pass


class _AmountSmaller(_Amount, filters.FilterSmaller):
    pass


_AMOUNTS = (_AmountEqual, _AmountNotEqual, _AmountGreater, _AmountSmaller, filters.FilterEmpty)


class _FilterConverter(filters.FilterConverter):
    """The same for filters."""

    def convert(self, type_name: str, column: Any, name: str) -> Any:
        if isinstance(column, Decimal128Field):
            return [each(column.name, name) for each in _AMOUNTS]
        known = _known_name(column, self.converters)
        return None if known is None else super().convert(known, column.name, name)


class _References(QueryAjaxModelLoader):
    """Looks up what a reference may refer to, which Flask-Admin 2.2 fails to."""

    def get_list(self, query: str, offset: int | None = 0, limit: int = DEFAULT_PAGE_SIZE) -> Any:
        wanted = [Q(**{f"{field.name}__icontains": query}) for field in self._cached_fields]
        found = self.model.objects(reduce(or_, wanted)) if query else self.model.objects
        return found.skip(offset or 0).limit(limit)


class ModelView(MongoEngineView):
    """``flask_admin.contrib.mongoengine.ModelView`` that knows datalayer's fields.

    Fields marked secret are in no list and no form, and what datalayer keeps by itself
    (``created_at``, ``updated_at``, ``version``) is in no form, unless ``column_list`` or
    ``form_columns`` names it. Files are shown of the model's own collections only. It is open to
    everybody, as all of Flask-Admin's views, until ``is_accessible`` says who may see it.
    """

    column_type_formatters = {  # with the argument that Flask-Admin warns of where it is missing
        **DEFAULT_FORMATTERS,
        GridFSProxy: lambda view, file, _: grid_formatter(view, file),
        ImageGridFsProxy: lambda view, image, _: grid_image_formatter(view, image),
    }
    if TYPE_CHECKING:  # Flask-Admin's declares a base that type checkers don't see in documents

        def __init__(self, model: type[Document], *args: Any, **settings: Any) -> None: ...

    model_form_converter = _FormConverter
    filter_converter = _FilterConverter()

    def scaffold_list_columns(self) -> list[str]:
        """All fields but embedded documents and those marked secret."""
        columns = super().scaffold_list_columns()
        return [name for name in columns if not getattr(self.model._fields[name], "secret", False)]

    def scaffold_sortable_columns(self) -> dict[str, Any]:
        """Those that Flask-Admin sorts by, fields that are derived from such included."""
        kinds = (*SORTABLE_FIELDS, Decimal128Field)
        return {
            name: field
            for name, field in self._get_model_fields()
            if isinstance(field, kinds) and (self.column_display_pk or not field.primary_key)
        }

    def init_search(self) -> bool:
        """As Flask-Admin's, for fields that are derived from those for text, too."""
        texts = (StringField, URLField, EmailField, ReferenceField)
        fields = self.model._fields.values()
        self.allowed_search_types = tuple({type(f) for f in fields if isinstance(f, texts)})
        return bool(super().init_search())

    def _create_ajax_loader(self, name: str, opts: Any) -> _References:
        field = self.model._fields.get(name)
        field = getattr(field, "field", None) or field
        if not isinstance(field, ReferenceField):
            raise ValueError(f"form_ajax_refs names {name!r}, which is no field of references")
        return _References(name, field.document_type, **opts)

    @expose("/api/file/")  # type: ignore[untyped-decorator]  # Flask-Admin ships no types
    def api_file_view(self) -> Response:
        """A file of one of the model's fields, to be saved by the browser; else 404."""
        asked = (request.args.get("db", DEFAULT_ALIAS), request.args.get("coll", ""))
        if asked not in _places_of_files(self.model):
            abort(404)
        alias, collection = asked
        connection = registry.connection(
            indexes.alias_of(self.model) if alias == DEFAULT_ALIAS else alias
        )
        try:
            found = files_of(connection, collection).get(ObjectId(request.args.get("id")))
        except (NoFile, InvalidId):
            abort(404)
        # Never shown in place: what somebody has put there may be a page with a script.
        return send_file(
            found,
            mimetype=gridfs_content_type(found),
            download_name=found.filename,
            as_attachment=True,
        )


def _is_left_out(model: Any, field: Any) -> bool:
    if getattr(field, "secret", False):
        return True
    meta = getattr(model, "_meta", {})
    if field.name in _STAMPS:
        return bool(meta.get("timestamps"))
    return field.name == "version" and bool(meta.get("versioned"))


def _known_name(field: Any, names: Collection[str]) -> str | None:
    """Under which of ``names`` there is what suits ``field``."""
    for base in type(field).__mro__:
        known = _LIKE.get(base.__name__, base.__name__)
        if known in names or known.lower() in names:
            return known
    return None


def _places_of_files(model: Any) -> set[tuple[str, str]]:
    """Alias and collection of each file field, those in embedded documents included."""
    return {
        (field.db_alias, field.collection_name)
        for _, field in fields_within(model)
        if isinstance(field, FileField)
    }
