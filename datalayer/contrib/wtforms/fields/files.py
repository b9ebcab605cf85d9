"""Uploads: into GridFS beside the document, or as the bytes of a field."""

from __future__ import annotations

from collections.abc import Iterator
from io import SEEK_END
from typing import Any, ClassVar

from markupsafe import Markup
from mongoengine.errors import ValidationError
from wtforms import fields, widgets
from wtforms.validators import ValidationError as Refused

MOST_BYTES = 16 * 2**20


class _UploadInput(widgets.FileInput):
    """An input for a file; after the name of the file that is there, with a box to delete it."""

    def __call__(self, field: Any, **kwargs: Any) -> Markup:
        chosen: Markup = super().__call__(field, **kwargs)
        if not field.has_file:
            return chosen
        name = Markup("<span>{}</span> ").format(field.file_name) if field.file_name else ""
        if field.flags.required or not field.may_delete:
            return Markup("{}{}").format(name, chosen)
        box = Markup(
            '<label><input type="checkbox" name="{0}" id="{0}" value="y"> {1}</label> '
        ).format(field.delete_name, field.gettext("Delete"))
        return Markup("{}{}{}").format(name, box, chosen)


class UploadField(fields.FileField):
    """A file for a document's ``FileField`` or ``ImageField``; ``data`` is what was sent.

    No file leaves the stored one as it is, and the box beside it, ``<name>-delete``, deletes it.
    ``max_bytes`` limits the size (16 MiB unless said otherwise). A new file is put beside the old
    one, which is deleted once the document was saved.
    """

    widget: ClassVar[Any] = _UploadInput()
    data: Any
    errors: Any

    def __init__(
        self,
        label: Any = None,
        validators: Any = None,
        *,
        max_bytes: int = MOST_BYTES,
        may_delete: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.type = "FileField"
        self.max_bytes, self.may_delete = max_bytes, may_delete
        self.deletes = False
        self._old: Any = None
        self._new: Any = None

    @property
    def delete_name(self) -> str:
        """The name of the box that deletes the stored file."""
        return f"{self.name}-delete"

    @property
    def has_file(self) -> bool:
        """Whether the document has a file."""
        return getattr(self.object_data, "grid_id", None) is not None

    @property
    def keeps(self) -> bool:
        """Whether there is a file, and it stays as it is."""
        return self.has_file and self.data is None and not self.deletes

    @property
    def file_name(self) -> str | None:
        """The stored file's name."""
        opened = self.object_data.get() if self.has_file else None
        return None if opened is None else opened.filename

    def process(self, formdata: Any, *args: Any, **kwargs: Any) -> None:
        """Take the file, and whether the stored one is to be deleted."""
        super().process(formdata, *args, **kwargs)
        self.deletes = bool(self.may_delete and formdata and formdata.get(self.delete_name))
        if self.has_file and not self.deletes:
            self.flags.required = False

    def process_data(self, value: Any) -> None:
        """The stored file is no upload."""
        self.data = None

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take what was sent as a file, and was chosen."""
        self.data = _chosen(valuelist)

    def validate(self, form: Any, extra_validators: Any = ()) -> bool:
        """Nothing is asked of what stays as it is."""
        if self.keeps:
            self.errors = []
            return True
        return bool(super().validate(form, extra_validators))

    def pre_validate(self, form: Any) -> None:
        """Refuse what is too large."""
        if self.data is not None and _size_of(self.data.stream) > self.max_bytes:
            raise Refused(self.gettext("This file is too large."))

    def populate_obj(self, obj: Any, name: str) -> None:
        """Store the file in GridFS. What it replaces is still there: see ``settle``."""
        old = getattr(obj, name)
        if self.data is None and not (self.deletes and old.grid_id is not None):
            return
        new = _put(obj, name, self.data)
        setattr(obj, name, new)
        self._old, self._new, self._owner = old, new, (obj, name)

    def settle(self) -> None:
        """Delete the file that was replaced, now that the document doesn't refer to it."""
        if self._old is not None and self._old.grid_id is not None:
            self._old.instance = None  # whose change is stored
            self._old.delete()
        self._old = self._new = None

    def undo(self) -> None:
        """Give the document back the file that it had, and delete the new one."""
        if self._new is None:
            return
        document, name = self._owner
        setattr(document, name, self._old)
        if self._new.grid_id is not None:
            self._new.instance = None
            self._new.delete()
        self._old = self._new = None


class BytesField(fields.FileField):
    """A file whose contents are the bytes of a document's field; no file leaves them as they are.

    ``max_bytes`` limits the size (16 MiB, what a document can hold, unless said otherwise).
    """

    data: Any

    def __init__(
        self, label: Any = None, validators: Any = None, *, max_bytes: int | None = None, **kw: Any
    ) -> None:
        super().__init__(label, validators, **kw)
        self.type = "FileField"
        self.max_bytes = MOST_BYTES if max_bytes is None else max_bytes

    @property
    def keeps(self) -> bool:
        """Whether there are bytes, and they stay as they are."""
        return self.data is not None and self.data is self.object_data

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Read what was sent, a file or a text."""
        chosen = _chosen(valuelist)
        if chosen is not None:
            self.data = chosen.stream.read(self.max_bytes + 1)
        elif valuelist and isinstance(valuelist[0], str) and valuelist[0]:
            self.data = valuelist[0].encode()
        if self.data is not None and len(self.data) > self.max_bytes:
            self.data = None
            raise ValueError(self.gettext("This file is too large."))


def _chosen(valuelist: list[Any]) -> Any:
    """What was sent as a file, if one was chosen."""
    files = (each for each in valuelist if hasattr(each, "stream") and each.filename)
    return next(files, None)


def _put(owner: Any, name: str, sent: Any) -> Any:
    """A file of ``owner`` with what was sent, or with nothing."""
    new = type(owner)._fields[name].get_proxy_obj(key=name, instance=owner)
    if sent is not None:
        sent.stream.seek(0)
        try:
            new.put(sent.stream, filename=sent.filename, content_type=sent.content_type)
        except ValidationError as exc:  # no image
            raise ValidationError(str(exc.message), field_name=name) from exc
    return new


def uploads_of(form: Any) -> Iterator[UploadField]:
    """All fields of ``form`` for files of documents, those of its parts included."""
    for field in form:
        yield from _uploads_in(field)


def _uploads_in(field: Any) -> Iterator[UploadField]:
    if isinstance(field, UploadField):
        yield field
    elif isinstance(field, fields.FormField):
        yield from uploads_of(field.form)
    elif isinstance(field, fields.FieldList):
        for entry in field.entries:
            yield from _uploads_in(entry)


def _size_of(stream: Any) -> int:
    stream.seek(0, SEEK_END)
    size: int = stream.tell()
    stream.seek(0)
    return size
