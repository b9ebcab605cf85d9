"""What a document was like, to put it back after a transaction was rolled back."""
