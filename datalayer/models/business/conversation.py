"""Conversations: who talks with whom, and when last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from mongoengine.errors import ValidationError

from datalayer.documents import BusinessDocument, QuerySet, UTCDateTimeField, utc_now
from datalayer.fields import ListField, ReferenceField, StringField
from datalayer.models.business.user import User


class Conversation(BusinessDocument):
    """A chat of two or more users. Two users have one chat of their own: see ``between``."""

    participants = ListField(ReferenceField(User), required=True, max_length=500)
    title = StringField(max_length=140)
    pair_key = StringField(max_length=100)
    """Set for the one chat that two users share; see ``between``."""
    last_message_at = UTCDateTimeField(default=utc_now)

    meta = {
        "collection": "conversations",
        "indexes": [
            ("participants", "-last_message_at"),
            {"fields": ["pair_key"], "unique": True, "sparse": True},
        ],
    }

    @classmethod
    def between(cls, one: User | ObjectId, other: User | ObjectId) -> Conversation:
        """The chat of two users, made at the first call; one, however many call at once."""
        ids = sorted({id_of(one), id_of(other)})
        if len(ids) != 2:
            raise ValidationError("a conversation has two different participants")
        return cls.objects(pair_key=":".join(map(str, ids))).upsert_one(
            set_on_insert__participants=ids,
            set_on_insert__last_message_at=utc_now(),
        )

    @classmethod
    def of(cls, user: User | ObjectId) -> QuerySet[Conversation]:
        """The conversations of ``user``, the one with the latest message first."""
        return cls.objects(participants=id_of(user)).order_by("-last_message_at")

    def participant_ids(self) -> list[Any]:
        """The ids of the participants, without loading them."""
        return [id_of(each) for each in self._data["participants"]]

    def touch(self, moment: Any) -> None:
        """Note that a message was sent at ``moment``; an earlier one changes nothing."""
        self.modify(max__last_message_at=moment)

    def clean(self) -> None:
        """Refuse fewer than two participants, and one that is named twice."""
        super().clean()
        ids = [id_of(each) for each in _iterable(self._data.get("participants"))]
        if len(ids) < 2 or len(set(ids)) != len(ids):
            raise ValidationError(
                "a conversation has at least two participants, each named once",
                field_name="participants",
            )


def _iterable(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def id_of(user: Any) -> Any:
    """The id, given a user, a reference or the id itself."""
    return getattr(user, "pk", getattr(user, "id", user))
