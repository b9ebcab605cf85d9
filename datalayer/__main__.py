"""``python -m datalayer``: the command, also where another package has put its own ``datalayer``
among the scripts."""

from __future__ import annotations

import sys

from datalayer.cli import main

if __name__ == "__main__":
    sys.exit(main(program="python -m datalayer"))
