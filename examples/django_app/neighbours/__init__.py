"""A market place for neighbours: Django for the pages and the sessions, MongoDB for the data."""
