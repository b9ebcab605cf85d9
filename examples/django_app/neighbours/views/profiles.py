"""What users show of themselves, and who lives nearby."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from datalayer.contrib.django.shortcuts import get_object_or_404
from neighbours.accounts import signed_in
from neighbours.forms import EditProfile, Nearby
from neighbours.models import Profile, User
from neighbours.pages import page_of


@signed_in
def own(request: HttpRequest, user: User) -> HttpResponse:
    profile = get_object_or_404(Profile, user=user)
    longitude, latitude = _coordinates(profile)
    place = {"longitude": longitude, "latitude": latitude}
    form = EditProfile(request.POST or None, instance=profile, initial=place)
    if form.is_valid():
        given = form.cleaned_data
        placed = given["longitude"] is not None
        profile.location = [given["longitude"], given["latitude"]] if placed else None
        form.save()
        messages.success(request, "Your profile is saved.")
        return redirect("profile")
    return render(request, "form.html", {"form": form, "title": "Your profile", "button": "Save"})


@signed_in
def nearby(request: HttpRequest, user: User) -> HttpResponse:
    longitude, latitude = _coordinates(get_object_or_404(Profile, user=user))
    here = {"longitude": longitude, "latitude": latitude, "kilometres": 5}
    form = Nearby(request.GET or None, initial=here)
    page = None
    if form.is_valid():
        near = Profile.near(**form.cleaned_data).filter(user__ne=user.pk)
        page = page_of(request, near.no_dereference())
    return render(request, "nearby.html", {"form": form, "page": page})


def _coordinates(profile: Profile) -> tuple[float | None, float | None]:
    place = profile.location
    if not place:
        return None, None
    longitude, latitude = place["coordinates"] if isinstance(place, dict) else place
    return longitude, latitude
