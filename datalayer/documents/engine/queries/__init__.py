"""How querysets ask and read: plain queries past MongoEngine's translation (``queryset_cursor``),
cursors that give documents as bytes (``bytes_cursor``), what iterating gives (``reading``), and
the parts of querysets through which every document passes (``queryset``)."""
