"""How querysets ask and read: plain queries past MongoEngine's translation (``queryset_cursor``),
cursors that give documents as bytes (``bytes_cursor``), and the loops over both (``queryset``)."""
