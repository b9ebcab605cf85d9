"""Changes the shape of stored documents: files of an application's, each applied once, in their
order. What is applied is in the history, in the default database.

- ``files``, ``definitions``: which migrations there are, what they say, in which order
- ``history``: what is applied, and who is at work on it
- ``standing``: what comes next, or what has to be put right before
- ``checking``: whether the database is as the code expects it; ``at_connect``: asked at a start
"""
