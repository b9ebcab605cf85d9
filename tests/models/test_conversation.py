"""Conversations: one chat for two users, listed by the latest message."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from models_explained import indexes_used
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.documents import utc_now
from datalayer.models import Conversation, User


def test_two_users_have_one_chat_whoever_begins(ann: User, bob: User) -> None:
    chat = Conversation.between(ann, bob)
    assert Conversation.between(bob.pk, ann.pk) == chat
    assert sorted(chat.participant_ids()) == sorted([ann.pk, bob.pk])


def test_threads_that_begin_at_once_share_the_chat(ann: User, bob: User) -> None:
    start = threading.Barrier(8)
    chats: list[Any] = []

    def begin() -> None:
        start.wait(60)
        chats.append(Conversation.between(ann, bob).pk)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert chats == [Conversation.objects.get().pk] * 8


def test_the_database_itself_refuses_a_second_chat(ann: User, bob: User) -> None:
    chat = Conversation.between(ann, bob)
    with pytest.raises(NotUniqueError):
        Conversation(participants=[ann, bob], pair_key=chat.pair_key).save()


def test_a_user_does_not_talk_to_himself(ann: User) -> None:
    with pytest.raises(ValidationError, match="two different"):
        Conversation.between(ann, ann)


def test_groups_may_have_the_same_members(ann: User, bob: User) -> None:
    for title in ("Work", "Football"):
        Conversation(participants=[ann, bob], title=title).save()
    assert Conversation.objects.count() == 2


def test_a_conversation_needs_two(ann: User) -> None:
    for participants in ([], [ann], [ann, ann]):
        with pytest.raises(ValidationError, match="participants"):
            Conversation(participants=participants).save()


def test_a_user_sees_the_latest_first(ann: User, bob: User) -> None:
    cat = User(email="cat@example.com").save()
    older, newer = Conversation.between(ann, bob), Conversation.between(ann, cat)
    Conversation.between(bob, cat)
    assert list(Conversation.of(ann)) == [newer, older]
    older.touch(utc_now() + timedelta(seconds=1))
    assert list(Conversation.of(ann)) == [older, newer]


def test_an_earlier_message_does_not_turn_the_clock_back(ann: User, bob: User) -> None:
    chat = Conversation.between(ann, bob)
    latest = chat.last_message_at
    chat.touch(latest - timedelta(days=1))
    assert Conversation.objects.get().last_message_at == latest


def test_listing_uses_its_index(ann: User, bob: User) -> None:
    Conversation.between(ann, bob)
    assert indexes_used(Conversation.of(ann)) == {"participants_1_last_message_at_-1"}


def test_finding_the_chat_of_two_uses_its_index(ann: User, bob: User) -> None:
    chat = Conversation.between(ann, bob)
    assert indexes_used(Conversation.objects(pair_key=chat.pair_key)) == {"pair_key_1"}
