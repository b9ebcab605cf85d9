"""Documents as the bytes that the server holds: read, compared and written without objects."""
