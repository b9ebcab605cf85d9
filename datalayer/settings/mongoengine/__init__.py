"""What applications gave to ``mongoengine.connect`` before, as datalayer's variables."""
