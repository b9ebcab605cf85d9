"""The error for a document or a page that isn't there, which Flask answers with 404."""

from __future__ import annotations

from datalayer.errors import ConfigurationError


def not_found(message: str | None = None) -> Exception:
    """Werkzeug's ``NotFound``, for the caller to raise.

    Raises:
        ConfigurationError: where Werkzeug isn't installed.
    """
    try:
        from werkzeug.exceptions import NotFound
    except ImportError as exc:
        raise ConfigurationError(
            "what is asked for isn't there, and the answer to that, Werkzeug's NotFound, needs "
            "Werkzeug: pip install werkzeug; without it, use get(), first(), and error_out=False"
        ) from exc
    return NotFound(message)
