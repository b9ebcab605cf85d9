"""Who holds a client, and what it is like: the registry of all aliases, and what each one has.

``registry`` knows which aliases are connected; ``connection`` is one of them; ``client`` opens the
driver's; ``pool`` limits waiting for a connection; ``counting`` counts what passes; ``breaker``
refuses calls to a database that is away, on ``breaker_evidence``; ``operation`` surrounds each
operation with them; ``replica_lag`` leaves out secondaries that are behind; ``built_indexes``
notes what needs no building again.
"""
