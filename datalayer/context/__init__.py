"""What holds for the work of a ``with`` block: in its thread, greenlet or task, until it ends.

``blocks`` keeps the open blocks of one kind; ``deadlines`` sets the driver's; ``session`` has the
operations of a block join a session; ``decorators`` refuses blocks around work that comes later.
"""
