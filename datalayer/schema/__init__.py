"""The schemas that models declare, against what the databases hold.

``rules`` takes a schema apart, ``counting`` has the server count the documents that break a rule,
``checking`` does so for models; ``targets`` says which collections are looked at, and ``paths``
how a pipeline gets at embedded values.
"""

from __future__ import annotations

from datalayer.schema.checking import CheckProgress, Finding, check

__all__ = ["CheckProgress", "Finding", "check"]
