"""Forms made of documents, as Django's ``ModelForm`` is made of the ORM's models.

``document_forms``: the forms; ``options``: their ``class Meta``; ``mapping``: which form field
stands for which field of a document; ``fields``, ``choices``, ``nested``: form fields that Django
lacks; ``filling``: cleaned values into a document; ``uniqueness``: whether another has a value
already; ``refusals``: the document's errors, at the form's fields; ``files``: uploads into GridFS;
``formsets``: several documents at once.
"""

from __future__ import annotations

from datalayer.contrib.django.forms.choices import (
    DocumentChoiceField,
    DocumentMultipleChoiceField,
)
from datalayer.contrib.django.forms.document_forms import DocumentForm, documentform_factory
from datalayer.contrib.django.forms.fields import JSONObjectField, LinesField, PointField
from datalayer.contrib.django.forms.formsets import BaseDocumentFormSet, documentformset_factory
from datalayer.contrib.django.forms.nested import EmbeddedFormField, EmbeddedFormSetField

__all__ = [
    "BaseDocumentFormSet",
    "DocumentChoiceField",
    "DocumentForm",
    "DocumentMultipleChoiceField",
    "EmbeddedFormField",
    "EmbeddedFormSetField",
    "JSONObjectField",
    "LinesField",
    "PointField",
    "documentform_factory",
    "documentformset_factory",
]
