"""What a document was like, to put it back after a transaction was rolled back.

``enlistment``: telling the transaction of a document before its first change; ``snapshots``: what
is remembered; ``dynamic_fields``: those of dynamic documents.
"""
