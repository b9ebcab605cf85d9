"""What went wrong: the server's codes, the driver's errors as datalayer's, and what is kept out of
their texts and tracebacks.

``server_codes`` names what servers answer, by category; ``connecting`` says why a database could
not be reached; ``operations`` says what became of an operation on documents that failed;
``redaction`` takes the values of documents out of texts; ``tracebacks`` keeps frames short and
free of secrets.
"""
