"""The fields that hold files in classes of datalayer's, and what transactions need of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from bson import ObjectId
from mongoengine.base import get_document
from mongoengine.fields import FileField, GridFSProxy, ImageField

from datalayer import transactions
from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.documents.engine import done, first_read
from datalayer.documents.partial.home import home_of, root_of
from datalayer.documents.related.embedded import fields_within
from datalayer.documents.related.files import ModelFile, ModelImage, where
from datalayer.documents.related.gridfs import prepare_for_transactions
from datalayer.documents.related.owner_place import place_of

# The models whose files' indexes stand, and in which generation of what is prepared.
_prepared: WeakKeyDictionary[Connection, tuple[int, set[Any]]] = WeakKeyDictionary()


class ModelFileField(FileField):
    """Stands for MongoEngine's ``FileField`` in a class of datalayer's."""

    proxy_class = ModelFile
    model: Any
    """The class whose documents have the file."""

    if not TYPE_CHECKING:  # mypy takes a descriptor's attribute for what __get__ returns

        def __get__(self, instance: Any, owner: Any) -> Any:
            if instance is None:
                return self
            value = instance._data.get(self.name)
            if not isinstance(value, ModelFile):
                value = self._made_for(instance)
            if not value.key:
                home = home_of(root_of(instance)) if self.db_alias == DEFAULT_ALIAS else None
                if home is not None and not value.is_changed:
                    value.lies_in = home  # it may have been read of its document elsewhere
                _bind(value, self.name, instance)
            return value

        def __set__(self, instance: Any, value: Any) -> None:
            is_file = isinstance(value, GridFSProxy)
            if not is_file and (isinstance(value, (bytes, str)) or hasattr(value, "read")):
                self.__get__(instance, None).replace(value)
                return
            instance._mark_as_changed(self.name)
            if isinstance(value, ObjectId):
                value, is_file = self.to_python(value), True
            instance._data[self.name] = self._owned(instance, value) if is_file else value

    def get_proxy_obj(
        self,
        key: str,
        instance: Any,
        db_alias: str | None = None,
        collection_name: str | None = None,
    ) -> Any:
        """A file of ``instance`` that is yet to be put."""
        made = super().get_proxy_obj(key, instance, db_alias, collection_name)
        if db_alias is None:
            made.field = self
        return made

    def to_python(self, value: Any) -> Any:
        """The file that a document's id of it stands for."""
        if value is None or isinstance(value, GridFSProxy):
            return value
        made = super().to_python(value)
        made.field = self
        if hasattr(self.model, "objects") or self.db_alias != DEFAULT_ALIAS:
            made.lies_in = place_of(self, None)
        return made

    def to_mongo(self, value: Any) -> Any:
        """The id of the file."""
        return value.grid_id if isinstance(value, GridFSProxy) else None

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        """The id of the file, for filters and updates."""
        return value.grid_id if isinstance(value, GridFSProxy) else value

    def validate(self, value: Any) -> None:
        """Refuse what is no file."""
        if not isinstance(value, GridFSProxy):
            self.error("A file field takes files, bytes, and what can be read")
        if value.grid_id is not None and not isinstance(value.grid_id, ObjectId):
            self.error("The id of a file is an ObjectId")

    def _made_for(self, instance: Any) -> Any:
        with first_read(instance):
            value = instance._data.get(self.name)  # another thread was here
            if not isinstance(value, ModelFile):
                if isinstance(value, GridFSProxy):
                    value = self._owned(instance, value)
                else:
                    value = self.get_proxy_obj(key=self.name, instance=instance)
                instance._data[self.name] = value
            done(instance)
            return value

    def _owned(self, instance: Any, value: Any) -> Any:
        """``value`` as a file of ``instance``; of another document's file a copy."""
        if isinstance(value, ModelFile):
            if value.instance is not None and value.instance is not instance:
                value = copy.copy(value)
                value.lies_in = where(value) if value.grid_id is not None else None
                value.key = value.instance = None
            value.field = self
            if not instance._initialised:  # being loaded: bound when it is read
                return value
        else:
            kept, value = value, self.get_proxy_obj(key=self.name, instance=instance)
            value.grid_id, value.newfile = kept.grid_id, kept.newfile
            value.lies_in = None if kept.grid_id is None else kept.db_alias
        _bind(value, self.name, instance)
        return value


def _bind(file: Any, key: str, owner: Any) -> None:
    """Let ``file`` know whose it is, and keep in mind where it is."""
    file.key, file.instance = key, owner
    if file.lies_in is None and file.grid_id is not None and root_of(owner) is not None:
        file.lies_in = where(file)


class ModelImageField(ImageField, ModelFileField):
    """Stands for MongoEngine's ``ImageField`` in a class of datalayer's."""

    proxy_class = ModelImage


def _prepare_files(connection: Connection, models: Iterable[Any]) -> None:
    """Before a transaction over ``connection``: build the indexes of the models' files, again
    where something was dropped."""
    generation = connection.built_indexes.generation
    known = _prepared.get(connection)
    if known is None or known[0] != generation:
        known = _prepared[connection] = (generation, set())
    names: set[str] = set()
    for model in models:
        if model not in known[1]:
            names |= _file_collections(model, connection.alias)
            known[1].add(model)
    for name in names:
        prepare_for_transactions(connection, name)


def _file_collections(model: Any, alias: str) -> set[str]:
    return {
        field.collection_name
        for each in map(get_document, model._subclasses)
        for _, field in fields_within(each)
        if isinstance(field, ModelFileField) and field.db_alias in (DEFAULT_ALIAS, alias)
    }


transactions.before.append(_prepare_files)
