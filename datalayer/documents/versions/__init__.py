"""``meta = {"versioned": True}``: a document is written only over what was loaded.

``field``: which classes have a version, and under which name; ``check``: the condition on a write
of one document, and what is wrong where it doesn't hold; ``counting``: how updates of a queryset
move versions on; ``change``: load, change and save, again where somebody was quicker.
"""
