"""What neighbours offer."""

from __future__ import annotations

from bson import ObjectId
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from datalayer.documents import NotUniqueError
from neighbours.accounts import names_of, signed_in, user_of
from neighbours.forms import Offer
from neighbours.models import Advertisement, User
from neighbours.pages import page_of

_LONGEST_SEARCH = 200


def overview(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("words", "").strip()[:_LONGEST_SEARCH]
    if words:
        found = Advertisement.search(words)
    else:
        found = Advertisement.objects(status="active").order_by("-published_at")
    page = page_of(request, found.no_dereference())
    names = names_of(each.owner.id for each in page["items"])
    rows = [(each, names.get(each.owner.id, "somebody")) for each in page["items"]]
    return render(request, "advertisements.html", {"rows": rows, "page": page, "words": words})


def show(request: HttpRequest, key: ObjectId) -> HttpResponse:
    advertisement = found(key)
    owner = advertisement.owner.id
    user = user_of(request)
    context = {
        "advertisement": advertisement,
        "owner": owner,
        "owner_name": names_of([owner]).get(owner, "somebody"),
        "own": user is not None and user.pk == owner,
    }
    return render(request, "advertisement.html", context)


@signed_in
def offer(request: HttpRequest, user: User) -> HttpResponse:
    form = Offer(request.POST or None, initial={"key": ObjectId()})
    if form.is_valid():
        advertisement = published(user, **form.cleaned_data)
        messages.success(request, "Your offer is there.")
        return redirect("advertisement", advertisement.pk)
    shown = {"form": form, "title": "Offer something", "button": "Publish"}
    return render(request, "form.html", shown)


def published(user: User, key: ObjectId, **fields: object) -> Advertisement:
    """The offer with this id: a new one, or the one that the same form made before."""
    # Only the form's fields: nothing else of the request reaches the document.
    advertisement = Advertisement(id=key, owner=user, currency="EUR", **fields)
    try:
        advertisement.save(force_insert=True)
    except NotUniqueError:
        made_before = Advertisement.objects(id=key, owner=user).first()
        if made_before is None:
            raise PermissionDenied("This is not your offer.") from None
        advertisement = made_before
    if advertisement.status == "draft":
        advertisement.publish()
    return advertisement


@require_POST
@signed_in
def remove(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    advertisement = Advertisement.objects(id=key, owner=user).first()
    if advertisement is None:
        raise Http404("This is no offer of yours.")
    advertisement.remove()
    messages.success(request, "Your offer is removed.")
    return redirect("home")


def found(key: ObjectId) -> Advertisement:
    """The active advertisement with this id, its owner as a reference."""
    advertisement = Advertisement.objects(id=key, status="active").no_dereference().first()
    if advertisement is None:
        raise Http404("This offer is not there (any more).")
    return advertisement
