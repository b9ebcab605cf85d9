"""Conversations between two neighbours."""

from __future__ import annotations

from bson import ObjectId
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from datalayer.documents import ValidationError
from neighbours.accounts import names_of, signed_in
from neighbours.forms import Message
from neighbours.models import ChatMessage, Conversation, User
from neighbours.pages import page_of

_MESSAGES = 50


@signed_in
def overview(request: HttpRequest, user: User) -> HttpResponse:
    page = page_of(request, Conversation.of(user).no_dereference())
    others = {each.pk: _other(each, user) for each in page["items"]}
    names = names_of(others.values())
    rows = [(each, names.get(others[each.pk], "somebody")) for each in page["items"]]
    unread = ChatMessage.unread(user).count()
    return render(request, "chats.html", {"rows": rows, "page": page, "unread": unread})


@require_POST
@signed_in
def begin(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    if key == user.pk or User.objects(id=key, status="active").first() is None:
        raise Http404("There is nobody to chat with.")
    return redirect("chat", Conversation.between(user, key).pk)


@signed_in
def show(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    # The condition on the participants keeps others out, not only from seeing the link.
    conversation = Conversation.objects(id=key, participants=user.pk).no_dereference().first()
    if conversation is None:
        raise Http404("This is no chat of yours.")
    form = Message(request.POST or None, initial={"key": ObjectId()})
    if form.is_valid():
        sent = form.cleaned_data
        ChatMessage.send(conversation, user, sent["text"], key=sent["key"])
        return redirect("chat", key)
    ChatMessage.mark_read(user, conversation)
    other = _other(conversation, user)
    shown = {
        "form": form,
        "user": user,
        "other_name": names_of([other]).get(other, "somebody"),
        **_messages(conversation, request.GET.get("before")),
    }
    return render(request, "chat.html", shown)


def _messages(conversation: Conversation, before: str | None) -> dict[str, object]:
    """The latest messages, or those before a message's cursor; and where earlier ones begin."""
    try:
        page = ChatMessage.page(conversation, before=before, limit=_MESSAGES + 1)
    except ValidationError:
        raise Http404("There are no such messages.") from None
    found = list(page.no_dereference())
    newest = found[:_MESSAGES]
    return {
        "messages_shown": newest[::-1],
        "earlier": newest[-1].cursor if len(found) > _MESSAGES else None,
        "latest": before is None,
    }


def _other(conversation: Conversation, user: User) -> ObjectId:
    other: ObjectId = next(key for key in conversation.participant_ids() if key != user.pk)
    return other
