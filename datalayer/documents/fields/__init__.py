"""What values mean to fields: the fields of our own, one conversion for all of them, and what
MongoDB can store."""
