"""Forms as browsers send them."""

from __future__ import annotations

import io
from typing import Any

from flask import Flask


def sent(app: Flask, form_class: Any, data: Any = None, **kwargs: Any) -> Any:
    """The form that a POST with ``data`` makes, whose request lasts as long as the test."""
    request = app.test_request_context("/", method="POST", data=data or {})
    app.extensions["requests"].enter_context(request)
    return form_class(**kwargs)


def sent_json(app: Flask, form_class: Any, data: Any, **kwargs: Any) -> Any:
    """The form that a POST of a JSON object makes."""
    with app.test_request_context("/", method="POST", json=data):
        return form_class(**kwargs)


def shown(app: Flask, form_class: Any, **kwargs: Any) -> Any:
    """The form that a GET makes."""
    with app.test_request_context("/"):
        return form_class(**kwargs)


def upload(contents: bytes, name: str) -> tuple[io.BytesIO, str]:
    return io.BytesIO(contents), name
