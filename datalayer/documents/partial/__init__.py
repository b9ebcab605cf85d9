"""Documents that were loaded in part, or aren't any more what was loaded.

``projections``: what was loaded; ``partial_documents``: fetching the rest. What no write may lose:
``write_guard`` (the rest), ``shrunk_lists`` (items that are gone), ``stale`` (deleted documents).
"""
