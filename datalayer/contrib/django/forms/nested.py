"""Form fields for embedded documents: a form inside the form, or a set of forms for a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet, formset_factory
from django.utils.safestring import SafeString, mark_safe


class _NestedWidget(forms.Widget):
    """Shows the form or the set of forms, under the prefix of its field."""

    use_fieldset = True
    nested: Any = None

    @property
    def needs_multipart_form(self) -> bool:
        return self.nested is not None and bool(self.nested.is_multipart())

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return None  # the nested form reads its own

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return ""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return mark_safe("" if self.nested is None else str(self.nested.as_div()))  # noqa: S308


class _NestedField(forms.Field):
    widget = _NestedWidget
    default_error_messages = {"nested": "Correct what is wrong in here."}
    nested: Any = None

    def bind(self, form: Any, name: str) -> None:
        """Make the nested form of one form: of its data, under its prefix."""
        data = {"data": form.data, "files": form.files} if form.is_bound else {}
        self.nested = self.widget.nested = self._made(
            form,
            getattr(form.instance, name),
            prefix=form.add_prefix(name),
            error_class=form.error_class,
            auto_id=form.auto_id,
            **data,
        )

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether something in it has."""
        return self.nested is not None and bool(self.nested.has_changed())

    def clean(self, value: Any) -> Any:
        """What the nested form makes of its part of the data."""
        if not self.nested.is_valid():
            raise ValidationError(self.error_messages["nested"], "nested")
        return self._found()

    def _made(self, form: Any, present: Any, **options: Any) -> Any:
        raise NotImplementedError

    def _found(self) -> Any:
        raise NotImplementedError


class EmbeddedFormField(_NestedField):
    """An embedded document, by a form of its own, whose fields have this one's name as prefix
    (``address-city``). Where it is not required, and nothing is filled in, it stays ``None``."""

    def __init__(self, form_class: Any, **options: Any) -> None:
        super().__init__(**options)
        self.form_class = form_class
        self._present: Any = None

    def _made(self, form: Any, present: Any, **options: Any) -> Any:
        self._present = present
        return self.form_class(
            instance=present,
            empty_permitted=not self.required,
            use_required_attribute=self.required and form.use_required_attribute,
            renderer=form.renderer,
            **options,
        )

    def _found(self) -> Any:
        if not self.required and self._present is None and not self.nested.has_changed():
            return None
        return self.nested.instance


class EmbeddedFormSetField(_NestedField):
    """A list of embedded documents, by a set of forms: those that are there, and ``extra`` empty
    ones. They are told apart by their places in the list."""

    def __init__(
        self, form_class: Any, *, extra: int = 1, can_delete: bool = True, **options: Any
    ) -> None:
        limits = {name: options.pop(name) for name in ("min_num", "max_num") if name in options}
        super().__init__(**options)
        self.formset_class = formset_factory(
            form_class,
            formset=_EmbeddedFormSet,
            extra=extra,
            can_delete=can_delete,
            validate_min="min_num" in limits,
            validate_max="max_num" in limits,
            **limits,
        )

    def _made(self, form: Any, present: Any, **options: Any) -> Any:
        return self.formset_class(embedded=list(present or ()), **options)

    def _found(self) -> list[Any]:
        found: list[Any] = self.nested.documents()
        if self.required and not found:
            raise ValidationError(self.error_messages["required"], "required")
        return found


class _EmbeddedFormSet(BaseFormSet):
    def __init__(self, *arguments: Any, embedded: Sequence[Any] = (), **options: Any) -> None:
        self.embedded = embedded
        super().__init__(*arguments, initial=[{}] * len(embedded), **options)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """The document at this place, for its form."""
        kwargs: dict[str, Any] = super().get_form_kwargs(index)
        if index is not None and index < min(len(self.embedded), self.initial_form_count()):
            kwargs["instance"] = self.embedded[index]
        return kwargs

    def has_changed(self) -> bool:
        """Whether something in one of the forms has."""
        return any(form.has_changed() for form in self.forms)

    def documents(self) -> list[Any]:
        """What is left after the deletions, and what was added."""
        deleted = self.deleted_forms
        return [
            form.instance
            for form in self.forms
            if form not in deleted and not (form.empty_permitted and not form.has_changed())
        ]
