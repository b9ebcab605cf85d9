"""What neighbours offer."""

from __future__ import annotations

from bson import ObjectId
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from neighbours.accounts import names_of, signed_in, user_of
from neighbours.forms import Offer
from neighbours.models import Advertisement, User

_MOST = 50


def overview(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("words", "").strip()
    if words:
        found = Advertisement.search(words)
    else:
        found = Advertisement.objects(status="active").order_by("-published_at")
    shown = list(found.no_dereference().limit(_MOST))
    names = names_of(each.owner.id for each in shown)
    rows = [(each, names.get(each.owner.id, "somebody")) for each in shown]
    return render(request, "advertisements.html", {"rows": rows, "words": words})


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
    form = Offer(request.POST or None)
    if form.is_valid():
        # Only the form's fields: nothing else of the request reaches the document.
        advertisement = Advertisement(owner=user, currency="EUR", **form.cleaned_data).save()
        advertisement.publish()
        return redirect("advertisement", advertisement.pk)
    return render(request, "form.html", {"form": form, "title": "Offer", "button": "Publish"})


@require_POST
@signed_in
def remove(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    advertisement = Advertisement.objects(id=key, owner=user).first()
    if advertisement is None:
        raise Http404
    advertisement.remove()
    return redirect("home")


def found(key: ObjectId) -> Advertisement:
    """The active advertisement with this id, its owner as a reference."""
    advertisement = Advertisement.objects(id=key, status="active").no_dereference().first()
    if advertisement is None:
        raise Http404
    return advertisement
