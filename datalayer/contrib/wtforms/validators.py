"""What the model says of a value, asked while the form is validated."""

from __future__ import annotations

from typing import Any

from mongoengine.base import BaseField
from mongoengine.errors import ValidationError
from wtforms.validators import InputRequired, StopValidation
from wtforms.validators import ValidationError as Refused

from datalayer.documents.fields.conversion import stored
from datalayer.documents.fields.refusals import reason_of
from datalayer.documents.from_input import accepted_value


class Required(InputRequired):
    """Refuses what is empty. A value that the form was not sent, and the document has, counts."""

    def __call__(self, form: Any, field: Any) -> None:
        """Raise ``StopValidation`` for an empty field, and after what could not be read."""
        sent = field.raw_data or ()
        is_blank = bool(sent) and all(isinstance(each, str) and not each.strip() for each in sent)
        if field.errors and not is_blank:
            raise StopValidation  # it says more than that something is missing
        if is_blank or field.data is None or field.data in ("", []):
            field.errors = []
            raise StopValidation(self.message or field.gettext("This field is required."))


class Fits:
    """Refuses what the model's field refuses: its type, limits, choices and own validation."""

    def __init__(self, model_field: BaseField) -> None:
        self.model_field = model_field

    def __call__(self, form: Any, field: Any) -> None:
        """Raise WTForms' ``ValidationError`` with the model's reason."""
        if field.errors or field.data is None or field.data is field.object_data:
            return  # what the document has already is asked when it is saved
        try:
            stored(self.model_field, accepted_value(self.model_field, field.data))
        except ValidationError as exc:
            raise Refused(reason_of(exc)) from exc
