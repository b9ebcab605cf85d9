"""What belongs to documents and is stored beside them: files, sequence numbers, and references
into any database."""
