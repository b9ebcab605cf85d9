"""Events on the local disk: written before they are sent, and sent by the next process where this
one dies. A ``spool`` is a ``directory`` of files, each a ``segment`` made of ``frames``."""
