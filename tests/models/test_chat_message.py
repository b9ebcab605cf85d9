"""Chat messages: sending, paging, reading."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from models_explained import indexes_used
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer import db
from datalayer.documents import utc_now
from datalayer.models import ChatMessage, Conversation, User


@pytest.fixture
def chat(ann: User, bob: User) -> Conversation:
    return Conversation.between(ann, bob)


def test_a_message_is_unread_by_the_others(chat: Conversation, ann: User, bob: User) -> None:
    message = ChatMessage.send(chat, ann, "hello")
    assert (message.text, message.unread_by) == ("hello", [bob.pk])


def test_sending_moves_the_conversation_up(chat: Conversation, ann: User) -> None:
    message = ChatMessage.send(chat, ann, "hello")
    assert Conversation.objects.get().last_message_at == message.sent_at


def test_only_participants_write(chat: Conversation) -> None:
    stranger = User(email="cat@example.com").save()
    with pytest.raises(ValidationError, match="only participants"):
        ChatMessage.send(chat, stranger, "hello")


@pytest.mark.parametrize("text", ["", None, "x" * 4001, {"$ne": None}])
def test_bad_texts_are_refused(chat: Conversation, ann: User, text: Any) -> None:
    with pytest.raises(ValidationError, match="text"):
        ChatMessage.send(chat, ann, text)


def test_pages_follow_each_other_without_gap_or_overlap(chat: Conversation, ann: User) -> None:
    moment = utc_now()
    # Three of them share a moment, so that the ids have to break the tie.
    moments = [moment, *(moment + timedelta(milliseconds=1) for _ in range(3)), moment]
    sent = ChatMessage.objects.insert(
        [
            ChatMessage(conversation=chat, sender=ann, text=str(number), sent_at=sent_at)
            for number, sent_at in enumerate(moments)
        ]
    )
    newest_first = sorted(sent, key=lambda each: (each.sent_at, each.pk), reverse=True)
    seen: list[ChatMessage] = []
    cursor = None
    while page := list(ChatMessage.page(chat, cursor, limit=2)):
        seen += page
        cursor = page[-1].cursor
    assert [each.text for each in seen] == [each.text for each in newest_first]


def test_a_message_that_comes_meanwhile_does_not_shift_the_pages(
    chat: Conversation, ann: User
) -> None:
    for text in "abc":
        ChatMessage.send(chat, ann, text)
    first = list(ChatMessage.page(chat, limit=2))
    ChatMessage.send(chat, ann, "d")
    (rest,) = ChatMessage.page(chat, first[-1].cursor, limit=2)
    assert [each.text for each in [*first, rest]] == ["c", "b", "a"]


@pytest.mark.parametrize("cursor", ["", "x", "1-x", "99999999999999999999-" + "0" * 24])
def test_what_is_no_cursor_is_refused(chat: Conversation, cursor: str) -> None:
    with pytest.raises(ValidationError, match="no cursor"):
        ChatMessage.page(chat, cursor)


def test_paging_uses_its_index(chat: Conversation, ann: User) -> None:
    message = ChatMessage.send(chat, ann, "hello")
    wanted = {"conversation_1_sent_at_-1__id_-1"}
    assert indexes_used(ChatMessage.page(chat)) == wanted
    assert indexes_used(ChatMessage.page(chat, message.cursor)) == wanted


def test_unread_messages_are_counted_and_marked(chat: Conversation, ann: User, bob: User) -> None:
    for text in "ab":
        ChatMessage.send(chat, ann, text)
    ChatMessage.send(chat, bob, "c")
    assert ChatMessage.unread(bob, chat).count() == 2
    assert ChatMessage.unread(bob).count() == 2
    assert ChatMessage.mark_read(bob, chat) == 2
    assert ChatMessage.mark_read(bob, chat) == 0
    assert ChatMessage.unread(bob, chat).count() == 0
    assert ChatMessage.unread(ann, chat).count() == 1


def test_who_has_read_what_is_known(chat: Conversation, ann: User, bob: User) -> None:
    ChatMessage.send(chat, ann, "hello")
    ChatMessage.mark_read(bob, chat)
    message = ChatMessage.objects.get()
    assert message.read_at(bob) <= utc_now()
    assert message.read_at(ann) is None


def test_counting_unread_uses_its_index(chat: Conversation, ann: User, bob: User) -> None:
    read = [ChatMessage(conversation=chat, sender=ann, text="old") for _ in range(200)]
    ChatMessage.objects.insert(read)
    ChatMessage.send(chat, ann, "hello")
    assert indexes_used(ChatMessage.unread(bob, chat)) == {"unread_by_1_conversation_1"}
    assert indexes_used(ChatMessage.unread(bob)) == {"unread_by_1_conversation_1"}


def test_what_a_user_wrote_is_listed_by_its_index(chat: Conversation, ann: User) -> None:
    message = ChatMessage.send(chat, ann, "hello")
    assert list(ChatMessage.from_sender(ann)) == [message]
    assert indexes_used(ChatMessage.from_sender(ann)) == {"sender_1_sent_at_-1"}


def test_a_message_that_is_sent_twice_is_there_once(chat: Conversation, ann: User) -> None:
    key = ObjectId()
    one, other = (ChatMessage.send(chat, ann, "hello", key=key) for _ in range(2))
    assert (one.pk, other.pk, other.sent_at) == (key, key, one.sent_at)
    assert [each.text for each in ChatMessage.page(chat)] == ["hello"]


def test_in_a_transaction_too_a_message_with_a_key_is_sent_once(
    chat: Conversation, ann: User
) -> None:
    key = ObjectId()
    ChatMessage.send(chat, ann, "hello", key=key)
    with db.transaction():
        for text in ("hello", "another"):
            ChatMessage.send(chat, ann, text, key=key)
    assert [each.text for each in ChatMessage.page(chat)] == ["another", "hello"]


def test_another_message_under_the_same_key_gets_one_of_its_own(
    chat: Conversation, ann: User, bob: User
) -> None:
    key = ObjectId()
    for sender, text in ((ann, "hello"), (ann, "anybody?"), (bob, "hello")):
        ChatMessage.send(chat, sender, text, key=key)
    said = {(each.sender.id, each.text) for each in ChatMessage.page(chat).no_dereference()}
    assert said == {(ann.pk, "hello"), (ann.pk, "anybody?"), (bob.pk, "hello")}


def test_what_another_index_refuses_is_raised(
    chat: Conversation, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **_options: object) -> None:
        raise NotUniqueError("an index of the application's own")

    monkeypatch.setattr(ChatMessage, "save", refused)
    for key in (None, ObjectId()):
        with pytest.raises(NotUniqueError):
            ChatMessage.send(chat, ann, "hello", key=key)
