"""Querysets: MongoEngine's, whose counts, updates and deletes concern exactly the documents that
iterating them shows.

``queryset``: the class, inserts. ``scope``, ``matched_keys``: which documents those are.
``cursors``: reading them; ``aggregates``: counts, sums, distinct values; ``near``: counts near a
point; ``updates``; ``deletes`` and ``delete_rules``. ``custom_classes``: an application's own.
``pages``: parts of what a queryset shows.
"""
