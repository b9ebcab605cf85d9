"""The numbers of pages, and of items on one, as requests have them."""

from __future__ import annotations

from datalayer.documents.querysets.pages.not_found import not_found

PER_PAGE = 20
"""Items of a page, where nobody says how many."""


def per_page_of(per_page: int | str, most: int | None, error_out: bool) -> int:
    """So many items a page has, at most ``most``.

    Raises:
        NotFound: Werkzeug's, with ``error_out``, for what is no number above 0.
    """
    number = number_of(per_page, PER_PAGE, error_out)
    return number if most is None else min(number, most)


def number_of(given: int | str, default: int, error_out: bool) -> int:
    """``given`` as a number above 0; without ``error_out``, ``default`` for what is none.

    Raises:
        NotFound: Werkzeug's, with ``error_out``.
    """
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if number < 1:
        if error_out:
            raise not_found()
        return default
    return number
