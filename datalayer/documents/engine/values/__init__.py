"""The values in documents: lists and mappings that tell of their changes, and values that are
converted when they are first read."""
