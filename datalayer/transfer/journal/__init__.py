"""The journal of transfers, in the target database: what each is to do, how far it has got, and
which runner is at work on it."""
