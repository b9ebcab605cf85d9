"""Chats of two people about an offer."""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.models import ChatMessage, Conversation, User
from flea_market.accounts import signed_in
from flea_market.forms import again, errors_of, form_id, text
from flea_market.people import names_of
from flea_market.web import done, page_of

blueprint = Blueprint("chats", __name__, url_prefix="/chats")

_MESSAGES = 50


@blueprint.get("")
@signed_in
def overview(user: User) -> ResponseReturnValue:
    page = page_of(Conversation.of(user).no_dereference())
    others = {chat.pk: _other(chat, user) for chat in page.items}
    names = names_of(others.values())
    chats = [
        {
            "id": chat.pk,
            "with": names.get(others[chat.pk], "somebody"),
            "unread": ChatMessage.unread(user, chat).count(),
            "last_message_at": chat.last_message_at,
        }
        for chat in page.items
    ]
    return render_template("chats.html", chats=chats, page=page)


@blueprint.post("/with/<id:other>")
@signed_in
def begin(user: User, other: ObjectId) -> ResponseReturnValue:
    """The chat with somebody: the same one, however often it is begun."""
    if other == user.pk or User.objects(pk=other, status="active").first() is None:
        abort(404, "There is nobody to chat with.")
    chat = Conversation.between(user, other)
    return done(url_for("chats.show", key=chat.pk), id=str(chat.pk))


@blueprint.get("/<id:key>")
@signed_in
def show(user: User, key: ObjectId) -> ResponseReturnValue:
    """The latest messages; earlier ones with ``?before=`` and a message's cursor."""
    chat = _chat_of(user, key)
    shown = _shown(chat, user)
    ChatMessage.mark_read(user, chat)
    if request.accept_mimetypes.best == "application/json":
        return {
            "messages": [
                {**each, "sent_at": each["sent_at"].isoformat(timespec="seconds")}
                for each in shown["messages"]
            ]
        }
    return render_template("chat.html", **shown)


@blueprint.post("/<id:key>")
@signed_in
def say(user: User, key: ObjectId) -> ResponseReturnValue:
    chat = _chat_of(user, key)
    sent: list[ChatMessage] = []
    errors = errors_of(
        lambda: sent.append(ChatMessage.send(chat, user, text("text"), key=form_id()))
    )
    if errors:
        return again("chat.html", errors, **_shown(chat, user))
    return done(url_for("chats.show", key=key), id=str(sent[0].pk))


def _chat_of(user: User, key: ObjectId) -> Conversation:
    chat: Conversation | None = (
        Conversation.objects(pk=key, participants=user.pk).no_dereference().first()
    )
    if chat is None:
        abort(404, "This is no chat of yours.")
    return chat


def _shown(chat: Conversation, user: User) -> dict[str, Any]:
    other = _other(chat, user)
    before = request.args.get("before")
    found = list(ChatMessage.page(chat, before=before, limit=_MESSAGES + 1).no_dereference())
    newest = found[:_MESSAGES]
    return {
        "other_name": names_of([other]).get(other, "somebody"),
        "latest": before is None,
        "form_id": ObjectId(),
        "earlier": newest[-1].cursor if len(found) > _MESSAGES else None,
        "messages": [
            {
                "id": str(message.pk),
                "mine": message.sender.id == user.pk,
                "text": message.text,
                "sent_at": message.sent_at,
                "cursor": message.cursor,
            }
            for message in newest
        ],
    }


def _other(chat: Conversation, user: User) -> ObjectId:
    """Who takes part beside ``user``."""
    other: ObjectId = next(key for key in chat.participant_ids() if key != user.pk)
    return other
