"""Fields of forms that WTForms lacks, for what documents hold.

``text``: texts, of which an empty one is no value, and secrets; ``converted``: a text that stands
for another value, JSON too; ``times``: points in time; ``places``: points on a map; ``choices``:
the values that a model allows; ``documents``: references; ``parts``: embedded documents and
lists; ``files``: uploads. The ``type`` of each is that of WTForms' field which it is like:
templates and macros ask for that.
"""
