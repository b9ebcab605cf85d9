"""Business data, on the alias ``default``."""

from __future__ import annotations

from datalayer.models.business.advertisement import Advertisement
from datalayer.models.business.chat_message import ChatMessage, ReadReceipt
from datalayer.models.business.conversation import Conversation
from datalayer.models.business.profile import Preferences, Profile
from datalayer.models.business.transaction import Transaction
from datalayer.models.business.user import User

__all__ = [
    "Advertisement",
    "ChatMessage",
    "Conversation",
    "Preferences",
    "Profile",
    "ReadReceipt",
    "Transaction",
    "User",
]
