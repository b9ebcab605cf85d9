"""Querysets: MongoEngine's, whose counts, updates and deletes concern exactly the documents that
iterating them shows."""
