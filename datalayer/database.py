"""The business database: users, advertisements, transactions, messages; alias ``default``."""

from __future__ import annotations

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.service.service import DatabaseService

__all__ = ["database"]

database = DatabaseService(DEFAULT_ALIAS)
registry.services[DEFAULT_ALIAS] = database
