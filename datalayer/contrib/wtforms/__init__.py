"""WTForms: forms made of models, that check what the model checks and say it beside the field.

    from datalayer.contrib.wtforms import model_form

    ArticleForm = model_form(Article, only=["title", "body", "author"])

``model_form`` chooses the fields, ``converter`` says which field of a form stands for which of a
model (by the methods of ``value_conversions`` and ``part_conversions``, which ``conversions``
marks, and with the ``options`` that the model gives), ``fields`` are those that WTForms lacks.
``form`` fills, checks and saves a document; ``validators`` ask the model, ``unique`` the database,
and ``errors`` puts what either refuses beside the field that is to blame.

Nothing here needs Flask: with Flask-WTF, take ``model_form`` from ``datalayer.contrib.flask``.
"""

from __future__ import annotations

try:
    import wtforms as _wtforms  # noqa: F401 - asked for here, to tell what is missing
except ImportError as exc:
    raise ImportError(
        'datalayer.contrib.wtforms needs WTForms: pip install "mongoengine-datalayer[forms]"'
    ) from exc

from datalayer.contrib.wtforms.conversions import LeftOut, converts
from datalayer.contrib.wtforms.converter import ModelConverter
from datalayer.contrib.wtforms.form import ModelForm
from datalayer.contrib.wtforms.model_form import model_fields, model_form

__all__ = ["LeftOut", "ModelConverter", "ModelForm", "converts", "model_fields", "model_form"]
