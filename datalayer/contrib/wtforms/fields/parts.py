"""The parts of a document: embedded documents and lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wtforms import fields
from wtforms.utils import unset_value


class EmbeddedField(fields.FormField):
    """The form of an embedded document. One that isn't there, and of which nothing was filled in,
    is not made, unless it is required; ``make`` makes it."""

    def __init__(
        self,
        form_class: Any,
        label: Any = None,
        validators: Any = None,
        *,
        make: Any,
        is_required: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(form_class, label, None, **kwargs)
        self.type = "FormField"
        self.make, self.is_required = make, is_required
        self.was_sent = False

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Fill the inner form."""
        self.was_sent = bool(formdata)
        super().process(formdata, data, extra_filters)
        if not self.is_required and _absent(self.object_data):
            _may_stay_empty(self)

    @property
    def is_left_out(self) -> bool:
        """Whether there is nothing, and nothing was filled in."""
        return self.was_sent and _absent(self.object_data) and is_blank(self)

    def validate(self, form: Any, extra_validators: Any = ()) -> bool:
        """Nothing is asked of what is left out."""
        if self.is_left_out and not self.is_required:
            return True
        return bool(super().validate(form))

    def populate_obj(self, obj: Any, name: str) -> None:
        """Change the embedded document that is there, or make it."""
        if self.is_left_out and not self.is_required:
            return
        present = getattr(obj, name, None)
        made = self.make() if present is None else present
        self.form.populate_obj(made)
        setattr(obj, name, made)


class ListOfField(fields.FieldList):
    """A list. A row that was emptied is taken out of it."""

    entries: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.type = "FieldList"

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Make the rows, each of which may be emptied."""
        super().process(formdata, data, extra_filters)
        for entry in self.entries:
            _may_stay_empty(entry)

    def _extract_indices(self, prefix: str, formdata: Any) -> Iterator[int]:
        # WTForms fails at what only looks like a number, and at one of thousands of digits.
        start = prefix + self._separator
        for name in formdata:
            row = name.removeprefix(start).split(self._field_separator, 1)[0]
            if name.startswith(start) and row.isascii() and row.isdigit() and len(row) < 10:
                yield int(row)

    @property
    def kept(self) -> list[Any]:
        """The rows that hold something."""
        return [each for each in self.entries if not is_blank(each)]

    @property
    def data(self) -> list[Any]:
        """The values of the rows that hold something."""
        return [each.data for each in self.kept]

    def validate(self, form: Any, extra_validators: Any = ()) -> bool:
        """Nothing is asked of rows that were emptied."""
        entries, self.entries = self.entries, self.kept
        try:
            return bool(super().validate(form, extra_validators))
        finally:
            self.entries = entries

    def populate_obj(self, obj: Any, name: str) -> None:
        """Set the list to what the rows hold."""
        values = []
        for entry in self.kept:
            if isinstance(entry, EmbeddedField):
                present = entry.object_data
                made = entry.make() if _absent(present) else present
                entry.form.populate_obj(made)
                values.append(made)
            else:
                values.append(entry.data)
        setattr(obj, name, values)


def _absent(value: Any) -> bool:
    return value is None or value is unset_value


def _may_stay_empty(field: Any) -> None:
    """Let browsers send it without a value; the form still asks for one where it is needed."""
    for leaf in _leaves(field):
        leaf.flags.required = False


def is_blank(field: Any) -> bool:
    """Whether nothing stands in ``field``, or in any of a part: boxes and choices, which always
    say something, don't count where there is something to fill in, nor does what a new part has
    by itself."""
    leaves = list(_leaves(field))
    typed = [each for each in leaves if not isinstance(each, fields.BooleanField)]
    texts = [each for each in typed if not isinstance(each, fields.SelectField)]
    is_new = isinstance(field, fields.FormField) and _absent(field.object_data)
    counted = texts or typed
    return bool(counted) and all(_is_untouched(each, is_new) for each in counted)


def _is_untouched(leaf: Any, is_new: bool) -> bool:
    if getattr(leaf, "keeps", False):  # an upload or a secret: nobody sends it again
        return False
    if leaf.raw_data is None:  # nothing was sent at all
        return leaf.data is None
    sent = [each for each in leaf.raw_data if each not in ("", None, "__None")]
    if not sent and leaf.raw_data:
        return True
    if is_new:
        default = leaf.default() if callable(leaf.default) else leaf.default
        return bool(leaf.data is None or leaf.data == default) and not leaf.process_errors
    return leaf.data is None and not leaf.process_errors


def _leaves(field: Any) -> Iterator[Any]:
    if isinstance(field, fields.FormField):
        for inner in field.form:
            yield from _leaves(inner)
    elif isinstance(field, fields.FieldList):
        for entry in field.entries:
            yield from _leaves(entry)
    else:
        yield field
