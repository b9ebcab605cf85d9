"""Chat messages: what was said in a conversation, and who has read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine.errors import ValidationError

from datalayer.documents import (
    BusinessDocument,
    EmbeddedDocument,
    QuerySet,
    UTCDateTimeField,
    utc_now,
)
from datalayer.documents.querysets.pages.keyset import after, cursor_after
from datalayer.fields import (
    EmbeddedDocumentListField,
    ListField,
    ObjectIdField,
    ReferenceField,
    StringField,
)
from datalayer.models.business.conversation import Conversation, id_of
from datalayer.models.business.user import User
from datalayer.models.insert_once import insert_once


class ReadReceipt(EmbeddedDocument):
    """Who read a message when."""

    user = ObjectIdField(required=True)
    read_at = UTCDateTimeField(required=True)


class ChatMessage(BusinessDocument):
    """One message. ``unread_by`` holds the ids of those who have yet to read it."""

    conversation = ReferenceField(Conversation, required=True)
    sender = ReferenceField(User, required=True)
    text = StringField(required=True, min_length=1, max_length=4000)
    sent_at = UTCDateTimeField(required=True, default=utc_now)
    unread_by = ListField(ObjectIdField())
    read_by = EmbeddedDocumentListField(ReadReceipt)

    meta = {
        "collection": "chat_messages",
        "indexes": [
            ("conversation", "-sent_at", "-id"),
            ("unread_by", "conversation"),
            ("sender", "-sent_at"),
        ],
    }

    @classmethod
    def send(
        cls, conversation: Conversation, sender: User, text: str, *, key: ObjectId | None = None
    ) -> ChatMessage:
        """Add a message to ``conversation``, unread by all but its sender.

        With ``key``, the id that the message is to have, what is sent a second time is there
        once: the answer is the message that was stored. A form brings the key that was chosen
        when it was shown. Where another message has it, this one gets an id of its own.

        Raises:
            ValidationError: when the sender doesn't take part, or the text is empty or too long.
        """
        readers = conversation.participant_ids()
        if sender.pk not in readers:
            raise ValidationError("only participants write to a conversation", field_name="sender")
        message = cls(id=key, conversation=conversation, sender=sender, text=text)
        message.unread_by = [each for each in readers if each != sender.pk]
        if key is None:
            message.save(force_insert=True)
        else:
            sent = insert_once(message, pk=key)
            if sent._said() != message._said():
                return cls.send(conversation, sender, text)
            message = sent
        conversation.touch(message.sent_at)
        return message

    @classmethod
    def page(
        cls, conversation: Conversation, before: str | None = None, limit: int = 50
    ) -> QuerySet[ChatMessage]:
        """At most ``limit`` messages, newest first; the next page with the last one's ``cursor``.

        Unlike skipping, this stays right and fast while messages are added.

        Raises:
            ValidationError: for a ``before`` that is no cursor.
        """
        newest_first = cls.objects(conversation=conversation).order_by("-sent_at", "-id")
        return after(newest_first, before).limit(limit)  # type: ignore[no-any-return]

    @classmethod
    def from_sender(cls, sender: User) -> QuerySet[ChatMessage]:
        """What ``sender`` wrote, newest first."""
        return cls.objects(sender=sender).order_by("-sent_at")

    @classmethod
    def unread(cls, user: User, conversation: Conversation | None = None) -> QuerySet[ChatMessage]:
        """What ``user`` has yet to read, in one conversation or in all; ``.count()`` counts it."""
        found = cls.objects(unread_by=user.pk)
        return found if conversation is None else found.filter(conversation=conversation)

    @classmethod
    def mark_read(cls, user: User, conversation: Conversation) -> int:
        """Note that ``user`` has read all there is; returns how many messages were unread."""
        receipt = ReadReceipt(user=user.pk, read_at=utc_now())
        return int(
            cls.unread(user, conversation).update(pull__unread_by=user.pk, push__read_by=receipt)
        )

    @property
    def cursor(self) -> str:
        """Where this message stands in its conversation, for ``page``; opaque."""
        newest_first = type(self).objects.order_by("-sent_at", "-id")
        return cursor_after(newest_first, (self.sent_at, self.pk))

    def read_at(self, user: User) -> datetime | None:
        """When ``user`` read it."""
        found: Any = next((each for each in self.read_by if each.user == user.pk), None)
        return None if found is None else found.read_at

    def _said(self) -> tuple[Any, ...]:
        """Where who said what, without loading either."""
        return (id_of(self._data["conversation"]), id_of(self._data["sender"]), self.text)
