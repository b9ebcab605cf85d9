"""What the generic views call things: templates, variables, and the address to go to after."""

from __future__ import annotations

from typing import Any

from django.apps import apps


def document_of(view: Any) -> Any:
    """The document's class of a view: its ``document``, its ``model``, or that of its queryset or
    its form; ``None`` where it has none of them."""
    for name in ("document", "model"):
        if getattr(view, name, None) is not None:
            return getattr(view, name)
    queryset = getattr(view, "queryset", None)
    if queryset is not None:
        return queryset._document
    form = getattr(view, "form_class", None)
    return getattr(getattr(form, "options", None), "document", None)


def variable(document: Any) -> str:
    """``Offer`` is ``offer`` in a template."""
    return str(document.__name__).lower()


def template(document: Any, suffix: str) -> str:
    """``shop/offer_list.html``: the application's label and the document's name."""
    application = apps.get_containing_app_config(document.__module__)
    folder = "" if application is None else f"{application.label}/"
    return f"{folder}{variable(document)}{suffix}.html"


def address(pattern: Any, document: Any) -> str:
    """``pattern`` with the document's attributes, as ``/offers/{pk}``."""
    return str(pattern).format_map(_Attributes(document))


class _Attributes(dict[str, Any]):
    def __init__(self, document: Any) -> None:
        super().__init__()
        self._document = document

    def __missing__(self, name: str) -> Any:
        return getattr(self._document, name)
