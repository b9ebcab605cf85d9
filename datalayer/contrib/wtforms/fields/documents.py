"""References: a list of documents to choose from, asked of the database when it is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import UUID

from bson import DBRef, ObjectId
from mongoengine.base import LazyReference
from mongoengine.errors import DoesNotExist, ValidationError
from wtforms import widgets
from wtforms.fields.choices import Choice, SelectFieldBase
from wtforms.validators import ValidationError as Refused

from datalayer.documents.fields.conversion import key_of

logger = logging.getLogger("datalayer.contrib.wtforms")

BLANK = "__None"
MOST_SHOWN = 1000


class DocumentSelectField(SelectFieldBase):
    """One of the documents of ``queryset``: a queryset, or a function without arguments that
    gives one, which is called in each request (where tenants or the visitor matter).

    ``label_attr`` names the attribute to show, or ``label_modifier(document)`` gives it; without
    both it is ``str(document)``. ``allow_blank`` adds a choice called ``blank_text``, which is
    ``None``. No more than ``limit`` documents are shown (1000 unless said otherwise), and the
    one that is chosen; ``is_cut`` says that there are more, and so does the log. A document that
    is neither in the queryset nor the one that is referred to already can't be chosen.
    """

    widget: ClassVar[Any] = widgets.Select()

    def __init__(
        self,
        label: Any = None,
        validators: Any = None,
        *,
        queryset: Any,
        label_attr: str | None = None,
        label_modifier: Callable[[Any], object] | None = None,
        allow_blank: bool = False,
        blank_text: str = "---",
        limit: int = MOST_SHOWN,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.type = "SelectMultipleField" if self.widget.multiple else "SelectField"
        self.queryset = queryset
        self.label_attr, self.label_modifier = label_attr, label_modifier
        self.allow_blank, self.blank_text, self.limit = allow_blank, blank_text, limit
        self.is_cut = False

    def iter_choices(self) -> Iterator[Choice]:
        """The documents to choose from, each by its key."""
        held = self._held(self.data)
        if self._shows_blank():
            yield Choice(BLANK, self.blank_text, not held, {})
        waiting = {_key_of(each): each for each in held}
        for document in self._shown():
            is_chosen = waiting.pop(document.pk, None) is not None
            yield Choice(document.pk, self._label_of(document), is_chosen, {})
        for key, document in waiting.items():
            yield Choice(key, self._label_of(document), True, {})

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the document whose key was sent."""
        if valuelist:
            self.data = next(iter(self._chosen(valuelist[:1])), None)

    def pre_validate(self, form: Any) -> None:
        """Refuse no document where there has to be one."""
        if self.data is None and not self.allow_blank and not self.process_errors:
            raise Refused(self.gettext("Not a valid choice."))

    def _held(self, value: Any) -> list[Any]:
        return [] if value is None else [value]

    def _shows_blank(self) -> bool:
        return self.allow_blank or self.data is None

    def _asked(self) -> Any:
        # A queryset can be called, too: to narrow it.
        return self.queryset.clone() if hasattr(self.queryset, "clone") else self.queryset()

    def _shown(self) -> Iterator[Any]:
        documents = self._asked()
        if documents._limit is None or documents._limit > self.limit:
            documents = documents.limit(self.limit + 1)
        for count, document in enumerate(documents, start=1):
            if count > self.limit:
                self.is_cut = True
                logger.warning(
                    "the field %r has more than %d documents to choose from, and shows no more: "
                    "narrow its queryset, or raise its limit",
                    self.name,
                    self.limit,
                    extra={"event": "choices_cut"},
                )
                return
            yield document

    def _label_of(self, document: Any) -> str:
        if isinstance(document, LazyReference):
            try:
                document = document.fetch()
            except DoesNotExist:
                return str(document.pk)
        if isinstance(document, DBRef):  # what it refers to isn't there
            return str(document.id)
        if self.label_modifier is not None:
            return str(self.label_modifier(document))
        if self.label_attr:
            return str(getattr(document, self.label_attr, document))
        return str(document)

    def _chosen(self, sent: list[Any]) -> list[Any]:
        """The documents whose keys were sent.

        Raises:
            ValueError: where one of them can't be chosen.
        """
        self.data = None
        present = {str(_key_of(each)): each for each in self._held(self.object_data)}
        keys = [each for each in sent if each not in (BLANK, "", None)]
        documents = self._asked()
        try:
            new = [each for each in keys if not isinstance(each, str) or each not in present]
            present |= _found(documents, [_key(documents._document, each) for each in new])
            return [present[key] for key in dict.fromkeys(map(str, keys))]
        except (KeyError, ValidationError, ValueError) as exc:
            raise ValueError(self.gettext("Not a valid choice.")) from exc


class DocumentSelectMultipleField(DocumentSelectField):
    """Any number of the documents of ``queryset``; see ``DocumentSelectField``."""

    widget: ClassVar[Any] = widgets.Select(multiple=True)

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the documents whose keys were sent, all or none of them."""
        self.data = self._chosen(valuelist)

    def pre_validate(self, form: Any) -> None:
        """None is a choice, unless the model's field is required."""

    def _held(self, value: Any) -> list[Any]:
        return list(value or ())

    def _shows_blank(self) -> bool:
        return self.allow_blank


def _found(documents: Any, keys: list[Any]) -> dict[str, Any]:
    """Those of ``documents`` with these keys, by the key's text."""
    if not keys:
        return {}
    if documents._limit is None and not documents._skip:  # of a part, the part counts
        documents = documents.filter(pk__in=keys)
    return {str(each.pk): each for each in documents}


def _key(model: Any, sent: Any) -> Any:
    """The primary key that was sent: a single value, never an operator."""
    if not isinstance(sent, (str, int, ObjectId, UUID)):
        raise ValueError("a key is a text, or what a test has put in its place")
    return key_of(model, sent)


def _key_of(document: Any) -> Any:
    """The key of a document, or of a reference to one that was not loaded or isn't there."""
    return document.id if isinstance(document, DBRef) else document.pk
