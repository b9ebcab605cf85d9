"""What the lists and mappings of datalayer's own documents have in common: they know whose they
are and where they stand, and tell of every change."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from mongoengine import EmbeddedDocument

from datalayer.documents.engine.mongoengine_internals import slots
from datalayer.documents.engine.values.equality import is_single, plain
from datalayer.documents.engine.values.locations import Path, at, path_of, path_to_mark, values_of
from datalayer.documents.engine.values.sharing import exchange
from datalayer.transactions import current

_ABSENT: Any = object()


class Tracked:
    """Whose it is and where in it: ``_path`` begins with the field's name, then come keys.

    What stands in it and is a list, a mapping or an embedded document becomes one that tells, too,
    when it is first handed out.
    """

    kinds: ClassVar[dict[type, Any]] = {}
    """The classes of those that tell, by the classes of those that may not."""

    _instance: Any
    _path: Path = ()

    @property
    def _name(self) -> str:
        return ".".join(map(str, self._path))

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A copy belongs to no document.
        return type(self), (self.copy(),)

    def _note(self) -> None:
        """Let the transaction know what the document is like before it changes."""
        if current() is not None:
            try:
                note = getattr(self._instance, "_note_in_transaction", None)
            except ReferenceError:  # the document is gone
                return
            if note is not None:
                note()

    def _mark_as_changed(self, key: Any = None) -> None:
        owner = self._instance
        if owner is None:
            return
        path = self._path
        try:
            if key is None and len(path) == 1 and values_of(owner).get(path[0]) is self:
                owner._mark_as_changed(path[0])  # most are fields' own, and change as a whole
            elif self._is_in_place():
                owner._mark_as_changed(path_to_mark(owner, self._path, key))
        except ReferenceError:  # the document is gone
            pass

    def _is_in_place(self) -> bool:
        """Whether the document still holds it; finds out where, if it was moved."""
        if not self._stands_where_it_says():
            found = path_of(self, values_of(self._instance), ())
            if found is None:
                return False
            self._path = found
        return True

    def _stands_where_it_says(self) -> bool:
        here: Any = None if self._instance is None else values_of(self._instance)
        for key in self._path:
            here = at(here, key)
        return here is self

    def _handed_out(self, key: Any, value: Any) -> Any:
        """``value``, which stands under ``key``, as what tells of its changes."""
        if is_single(value):
            return value
        if isinstance(value, (list, dict)):
            path = (*self._path, key)
            if isinstance(value, Tracked) and value._instance is self._instance:
                if value._path != path:
                    value = self._moved(key, value, path)
                return value
            made = tracking(value, self._instance, path)
            return made if made is value else exchange(self, key, value, made)
        # Not by its attributes: asked for one, a lazy reference may fetch its document.
        is_part = isinstance(value, EmbeddedDocument)
        if is_part and getattr(value, "_instance", _ABSENT) is None:
            slots.instance(value, self._instance)
        return value

    def _moved(self, key: Any, value: Any, path: Path) -> Any:
        if value._stands_where_it_says():
            return exchange(self, key, value, tracking(plain(value), self._instance, path))
        value._path = path
        return value

    def _taken_in(self, value: Any) -> Any:
        """``value`` as it may be put here: what stands in a document already is copied."""
        if not isinstance(value, Tracked):
            return value
        if stands_in_a_document(value):
            return plain(value)
        value._instance, value._path = self._instance, (*self._path, None)
        return value

    def copy(self) -> Any:
        """A plain one of the same."""
        raise NotImplementedError

    def settle(self) -> None:
        """Make all that stands in it tell of its changes now."""
        raise NotImplementedError


def changing(method: Callable[..., Any], *, may_half_fail: bool = False) -> Any:
    """``method`` with a note before and a mark after; also where it fails in the middle."""

    def change(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._note()
        try:
            result = method(self, *args, **kwargs)
        except BaseException:
            if may_half_fail:
                self._mark_as_changed()
            raise
        self._mark_as_changed()
        return result

    change.__name__ = method.__name__
    change.__doc__ = method.__doc__
    return change


def tracking(value: Any, instance: Any, path: Path) -> Any:
    """``value`` as a list or mapping that tells ``instance`` of its changes, and stands there.

    One that stands in a document already is copied.
    """
    kind: Any = type(value)
    if not isinstance(value, Tracked):
        kind = next(own for other, own in Tracked.kinds.items() if isinstance(value, other))
    elif stands_in_a_document(value):
        value = plain(value)
    else:
        value._instance, value._path = instance, path
        return value
    made = kind(value)
    made._instance, made._path = instance, path
    return made


def stands_in_a_document(value: Any) -> bool:
    """Whether a document holds it at present."""
    try:
        return value._instance is not None and value._is_in_place()
    except ReferenceError:  # the document is gone
        return False


def proxy_of(instance: Any) -> Any:
    """``instance`` as what doesn't keep it alive."""
    if instance is None or isinstance(instance, weakref.ProxyTypes):
        return instance
    return weakref.proxy(instance)
