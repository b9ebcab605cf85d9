"""Conversations between two neighbours."""

from __future__ import annotations

from bson import ObjectId
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from neighbours.accounts import names_of, signed_in
from neighbours.forms import Message
from neighbours.models import ChatMessage, Conversation, User

_MOST = 50


@signed_in
def overview(request: HttpRequest, user: User) -> HttpResponse:
    conversations = list(Conversation.of(user).no_dereference().limit(_MOST))
    others = {each.pk: _other(each, user) for each in conversations}
    names = names_of(others.values())
    rows = [(each, names.get(others[each.pk], "somebody")) for each in conversations]
    return render(
        request, "chats.html", {"rows": rows, "unread": ChatMessage.unread(user).count()}
    )


@require_POST
@signed_in
def begin(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    if key == user.pk or User.objects(id=key, status="active").first() is None:
        raise Http404
    return redirect("chat", Conversation.between(user, key).pk)


@signed_in
def show(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    # The condition on the participants keeps others out, not only from seeing the link.
    conversation = Conversation.objects(id=key, participants=user.pk).no_dereference().first()
    if conversation is None:
        raise Http404
    form = Message(request.POST or None)
    if form.is_valid():
        ChatMessage.send(conversation, user, form.cleaned_data["text"])
        return redirect("chat", key)
    ChatMessage.mark_read(user, conversation)
    page = list(ChatMessage.page(conversation, limit=_MOST).no_dereference())
    names = names_of(conversation.participant_ids())
    rows = [(each, names.get(each.sender.id, "somebody")) for each in reversed(page)]
    return render(request, "chat.html", {"rows": rows, "form": form})


def _other(conversation: Conversation, user: User) -> ObjectId:
    other: ObjectId = next(key for key in conversation.participant_ids() if key != user.pk)
    return other
