"""What went wrong: the server's codes, the driver's errors as datalayer's, and what is kept out of
their texts and tracebacks.

``server_codes`` names what servers answer; ``driver`` says what an error of the driver's means;
``operations`` turns what it raises for an operation on documents into an error of ours;
``redaction`` takes the values of documents out of texts; ``tracebacks`` keeps frames short and
free of secrets.
"""
