"""Files of documents: kept in the document's own database, and put back by a rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gridfs import NoFile
from mongoengine.fields import GridFSError, GridFSProxy, ImageGridFsProxy

from datalayer import routing, transactions
from datalayer.connections.registry import registry
from datalayer.context.places import Place, place_from
from datalayer.documents.related.gridfs import Files, copy_file, files_of
from datalayer.documents.related.owner_place import place_of

_STATE = ("grid_id", "key", "instance", "newfile", "lies_in", "is_changed")


class ModelFile(GridFSProxy):
    """Stands for a file of a document: MongoEngine's, in the document's own database.

    Its methods raise datalayer's errors for a server that is away; a file that isn't there any
    more is read as ``None``. In a transaction that covers the database they are a part of it, and
    a rollback makes the file what it was, here too.
    """

    field: Any = None
    gridout: Any
    lies_in: Place | str | None = None
    """Where the file is, of a pickle of an earlier version the alias; ``None``: where its document
    was loaded from."""
    is_changed = False
    is_kept = False  # while its document is being deleted
    _read_in: Any = None  # the transaction in which the file was opened

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name != "_id":
            raise AttributeError(name)  # asked by copying and the like, which need no file
        return super().__getattr__(name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GridFSProxy) or self.collection_name != other.collection_name:
            return False
        if self.grid_id is None or other.grid_id is None:
            return self.grid_id is other.grid_id
        return bool(self.grid_id == other.grid_id and where(self) == where(other))

    __hash__ = None  # type: ignore[assignment] # as MongoEngine's

    def __copy__(self) -> Any:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__getstate__())
        return copied

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fs": None, "gridout": None, "newfile": None, "_read_in": None}

    def __reduce__(self) -> Any:
        kept = {**self.__getstate__(), "instance": None, "field": None}
        if self.grid_id is not None:
            kept["lies_in"] = where(self)
        return _restored, (vars(type(self)).get("stands_for", type(self)), kept)

    @property
    def fs(self) -> Files:
        """The files of the database where this one is, or where it would be put now."""
        return files_of(registry.connection_to(where(self)), self.collection_name)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the file is not in the database that the document goes to now."""
        return where(self) != self._place()

    def get(self, grid_id: Any = None) -> Any:
        """The open file, or ``None`` where there is none."""
        if grid_id:
            self.grid_id = grid_id
        if self.grid_id is None:
            return None
        begun = transactions.current()
        if self.gridout is not None and self._read_in is begun:
            return self.gridout
        position = 0 if self.gridout is None else self.gridout.tell()
        try:
            opened = self.fs.get(self.grid_id)
        except NoFile:
            return None
        opened.seek(position)
        self.gridout, self._read_in = opened, begun
        return opened

    def read(self, size: int = -1) -> Any:
        """The next ``size`` bytes, all by default; ``None`` where there is no file."""
        opened = self.get()
        return None if opened is None else opened.read(size)

    def new_file(self, **kwargs: Any) -> None:
        """Begin a file, which ``write`` goes on with and ``close`` ends."""
        self._note()
        place = self._place()
        self.newfile = self._files(place).new_file(**kwargs)
        self._hold(self.newfile._id, place)

    def put(self, file_obj: Any, **kwargs: Any) -> None:
        """Store a file, of bytes or what can be read.

        Raises:
            GridFSError: where there already is one.
        """
        if self.grid_id:
            raise GridFSError("this document already has a file; delete it first, or replace it")
        self._note()
        place = self._place()
        self._hold(self._files(place).put(file_obj, **kwargs), place)

    def delete(self) -> None:
        """Delete the file, where there is one. One that is in another database, which a document
        there has, is only let go."""
        if self.grid_id is None or self.is_kept:
            return
        self._note()
        if not self.is_elsewhere:
            self._remove(self.fs, self.grid_id)
        self._hold(None, None)

    def replace(self, file_obj: Any, **kwargs: Any) -> None:
        """Store another file and delete this one; where that fails, this one is kept."""
        old, place, is_elsewhere = self.grid_id, where(self), self.is_elsewhere
        if old is None or kwargs.get("_id") == old:
            self.delete()
            self.put(file_obj, **kwargs)
            return
        self._note()
        self.grid_id = None
        try:
            self.put(file_obj, **kwargs)
        except BaseException:
            self.grid_id = old
            raise
        if not is_elsewhere:
            self._remove(self._files(place), old)

    def _remove(self, files: Files, key: Any) -> None:
        files.delete(key)

    def _hold(self, key: Any, place: Place | None) -> None:
        self.grid_id, self.lies_in, self.gridout = key, place, None
        self._mark_as_changed()

    def _mark_as_changed(self) -> None:
        self.is_changed = True
        if self.instance is not None:
            self.instance._mark_as_changed(self.key)

    def _place(self, *, before_switching: bool = False) -> Place:
        if self.field is None:
            return routing.connection_of(self.db_alias).place
        return place_of(self.field, self.instance, before_switching=before_switching)

    def _files(self, place: Place) -> Files:
        return files_of(registry.connection_to(place), self.collection_name)

    def _note(self, place: Place | None = None) -> None:
        begun = transactions.current()
        if begun is not None and (place or where(self)).alias in begun.aliases:
            begun.remember(self)

    def _snapshot(self) -> Callable[[], object]:
        state = {name: getattr(self, name) for name in _STATE}

        def restore() -> Any:
            self.__dict__.update(state, gridout=None, _read_in=None)
            return self

        return restore


def where(proxy: Any) -> Place:
    """Where a file is, or would be put now."""
    if not isinstance(proxy, ModelFile):
        return Place(proxy.db_alias)
    if proxy.grid_id is None:
        return proxy._place()
    if proxy.lies_in is not None:
        return place_from(proxy.lies_in)
    return proxy._place(before_switching=True)


class ModelImage(ImageGridFsProxy, ModelFile):
    """Stands for an image of a document, with its thumbnail."""

    delete = ModelFile.delete

    def _remove(self, files: Files, key: Any) -> None:
        with suppress(NoFile):
            thumbnail = files.get(key)._file.get("thumbnail_id")
            if thumbnail is not None:
                files.delete(thumbnail)
        files.delete(key)


def file_class(kind: type[GridFSProxy]) -> Any:
    """The class that stands for ``kind``, an application's own perhaps."""
    if issubclass(kind, ModelFile):
        return kind
    if kind in _STANDING_FOR:
        return _STANDING_FOR[kind]
    base = ModelImage if issubclass(kind, ImageGridFsProxy) else ModelFile
    made = type(kind.__name__, (kind, base), {"stands_for": kind, "__hash__": None})
    return _STANDING_FOR.setdefault(kind, made)


_STANDING_FOR: dict[Any, Any] = {GridFSProxy: ModelFile, ImageGridFsProxy: ModelImage}


def _restored(kind: type[GridFSProxy], state: dict[str, Any]) -> Any:
    made = object.__new__(file_class(kind))
    made.__dict__.update(state)
    return made


@contextmanager
def kept(files: Iterable[Any]) -> Iterator[None]:
    """Let MongoEngine, which deletes a document's files before it, leave ``files`` alone."""
    for file in files:
        file.is_kept = True
    try:
        yield
    finally:
        for file in files:
            del file.is_kept


def settle(file: Any, to: Place) -> None:
    """Have the file where its document goes: one that is elsewhere is copied, under its id."""
    if file.grid_id is None or (file.newfile is not None and not file.newfile.closed):
        return
    place = where(file)
    if place == to:
        return
    name = file.collection_name
    source, target = (files_of(registry.connection_to(each), name) for each in (place, to))
    copy_file(source, target, file.grid_id)
    if isinstance(file, ModelFile):
        file._note(to)
        file.lies_in, file.gridout = to, None
    else:
        file.db_alias, file._fs, file.gridout = to.alias, target, None
