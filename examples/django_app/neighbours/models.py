"""The documents. Django imports this module when it starts, so their indexes are built when the
databases are connected. An application with needs of its own defines its models here."""

from __future__ import annotations

from datalayer.models import (
    Advertisement,
    AnalyticsEvent,
    ChatMessage,
    Conversation,
    Profile,
    Transaction,
    User,
)

__all__ = [
    "Advertisement",
    "AnalyticsEvent",
    "ChatMessage",
    "Conversation",
    "Profile",
    "Transaction",
    "User",
]
