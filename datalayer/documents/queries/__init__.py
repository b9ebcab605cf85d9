"""MongoEngine's keywords as MongoDB's.

``filter_translation``, ``update_translation``; ``field_paths``: where a keyword leads;
``patterns``: text in texts; ``pipeline_timestamps``: updates that are pipelines; ``safe_filter``:
filters out of request data.
"""
