"""MongoEngine's keywords for filters and updates as MongoDB's, and filters out of request data."""
