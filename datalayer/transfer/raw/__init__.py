"""Documents as the bytes that the server holds: read, compared and written without objects.

- ``bson``: a document's id and digest; ``comparison_keys``: which ids the server takes for equal
- ``arrays``: arrays of documents and of ObjectIds; ``object_ids``: the ids of a range
- ``find``: pages of documents or ids; ``read_ahead``: batches of them, read while others write
- ``insert``: many documents in one message
"""
