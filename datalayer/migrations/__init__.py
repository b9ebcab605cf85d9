"""Changes the shape of stored documents."""
