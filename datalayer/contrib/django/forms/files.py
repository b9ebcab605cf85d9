"""Uploads of a form, into GridFS: stored just before the document is saved, so that a wrong form
leaves none behind, and the old file deleted only when the document has the new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.files.uploadedfile import UploadedFile


@contextmanager
def stored(document: Any, uploads: Mapping[str, UploadedFile]) -> Iterator[None]:
    """Store ``uploads`` as the files of ``document`` while it is saved in the block; where that
    fails, the document has the files that it had before."""
    old: dict[str, Any] = {}
    try:
        for name, upload in uploads.items():
            old[name] = getattr(document, name)
            setattr(document, name, None)
            upload.seek(0)
            getattr(document, name).put(
                upload, filename=upload.name, content_type=upload.content_type
            )
        yield
    except BaseException:
        for name, file in old.items():
            getattr(document, name).delete()
            setattr(document, name, file)
        raise
    for file in old.values():
        file.delete()
