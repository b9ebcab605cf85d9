"""What holds for the work of a ``with`` block: in its thread, greenlet or task, until it ends.

``stack`` keeps the values of open blocks; ``deadlines`` sets the driver's deadline; ``session``
has operations join a session; ``decorators`` refuses generators and coroutines, whose work comes
after the block.
"""
