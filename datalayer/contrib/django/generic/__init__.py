"""Django's generic views for documents.

``lists``: ``ListView`` and its pages; ``paginator``: pages that count once; ``details``:
``DetailView``; ``editing``: ``CreateView``, ``UpdateView``, ``DeleteView``; ``naming``: what
templates and variables are called.
"""

from __future__ import annotations

from datalayer.contrib.django.generic.details import DetailView, SingleDocumentMixin
from datalayer.contrib.django.generic.editing import (
    CreateView,
    DeleteView,
    DocumentFormMixin,
    UpdateView,
)
from datalayer.contrib.django.generic.lists import ListView, MultipleDocumentMixin
from datalayer.contrib.django.generic.paginator import DocumentPaginator

__all__ = [
    "CreateView",
    "DeleteView",
    "DetailView",
    "DocumentFormMixin",
    "DocumentPaginator",
    "ListView",
    "MultipleDocumentMixin",
    "SingleDocumentMixin",
    "UpdateView",
]
