"""Chats of two people about an offer."""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.models import ChatMessage, Conversation, Profile, User
from flea_market.accounts import signed_in
from flea_market.web import done, text

blueprint = Blueprint("chats", __name__, url_prefix="/chats")

_PAGE = 50


@blueprint.get("")
@signed_in
def overview(user: User) -> ResponseReturnValue:
    chats = list(Conversation.of(user).limit(_PAGE))
    names = _names({key for chat in chats for key in chat.participant_ids()})
    shown = [
        {
            "id": chat.pk,
            "with": ", ".join(
                names.get(key, "?") for key in chat.participant_ids() if key != user.pk
            ),
            "unread": ChatMessage.unread(user, chat).count(),
        }
        for chat in chats
    ]
    return render_template("chats.html", chats=shown)


@blueprint.post("/with/<id:other>")
@signed_in
def begin(user: User, other: ObjectId) -> ResponseReturnValue:
    """The chat with somebody: the same one, however often it is begun."""
    if User.objects(pk=other).first() is None:
        abort(404, "There is nobody of that name.")
    chat = Conversation.between(user, other)
    return done(url_for("chats.show", key=chat.pk), id=str(chat.pk))


@blueprint.get("/<id:key>")
@signed_in
def show(user: User, key: ObjectId) -> ResponseReturnValue:
    """The latest messages; earlier ones with ``?before=`` and a message's cursor."""
    chat = _chat_of(user, key)
    found = list(ChatMessage.page(chat, before=request.args.get("before"), limit=_PAGE))
    ChatMessage.mark_read(user, chat)
    messages = [_shown(message, user) for message in found]
    if request.accept_mimetypes.best == "application/json":
        return {"messages": messages}
    return render_template("chat.html", chat=chat, messages=reversed(messages))


@blueprint.post("/<id:key>")
@signed_in
def say(user: User, key: ObjectId) -> ResponseReturnValue:
    message = ChatMessage.send(_chat_of(user, key), user, text("text"))
    return done(url_for("chats.show", key=key), id=str(message.pk))


def _chat_of(user: User, key: ObjectId) -> Conversation:
    chat: Conversation | None = Conversation.objects(pk=key, participants=user.pk).first()
    if chat is None:
        abort(404, "This is no chat of yours.")
    return chat


def _shown(message: ChatMessage, user: User) -> dict[str, Any]:
    stored = message.to_mongo()  # the sender's id, without loading the sender
    return {
        "id": str(message.pk),
        "mine": stored["sender"] == user.pk,
        "text": message.text,
        "sent_at": message.sent_at.isoformat(timespec="seconds"),
        "cursor": message.cursor,
    }


def _names(keys: set[ObjectId]) -> dict[ObjectId, str]:
    """Display names by user, in one query."""
    profiles = Profile.objects(user__in=list(keys)).only("user", "display_name")
    return {each.to_mongo()["user"]: each.display_name for each in profiles}
