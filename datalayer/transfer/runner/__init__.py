"""Carries plans out, each step in the journal before and after.

- ``runner``: which step comes next; ``workers``: how many ranges are worked on at a time
- ``copier``: how a range is written, also for the second time
- ``change_stream``, ``follower``: what has changed in the source, and how that is carried over
- ``verifier``: whether both sides are the same
- ``deleter``: how a move deletes from the source only what is in the target
- ``rollback``, ``ownership``: how it is taken back, and which documents are the transfer's own
- ``target_schema``: options and indexes; ``throttle``: limits; ``lookup``: documents by their ids
"""
