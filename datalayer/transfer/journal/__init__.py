"""The journal of transfers, in the target database, from which any process can go on with one.

- ``entry``: what the journal says of each transfer, and whether that can be trusted
- ``range``: what it says of some documents that are worked on at once
- ``journal``: how both are written, by the latest runner and nobody else
- ``lease``: which runner is at work, and until when
"""
