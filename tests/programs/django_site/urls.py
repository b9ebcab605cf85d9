"""The health views below the root, and views that use the databases."""

from __future__ import annotations

from django.urls import include, path

from datalayer.contrib.django import needs_no_database
from django_site import views

urlpatterns = [
    path("work", views.work),
    path("both", views.both),
    path("about", needs_no_database(views.about)),
    path("session", views.session),
    path("failing/<name>", views.failing),
    path("", include("datalayer.contrib.django.urls")),
]
