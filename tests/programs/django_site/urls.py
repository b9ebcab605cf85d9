"""The health views below the root, and views that use the databases."""

from __future__ import annotations

from django.urls import include, path

from django_site import views

urlpatterns = [
    path("work", views.work),
    path("both", views.both),
    path("session", views.session),
    path("failing/<name>", views.failing),
    path("", include("datalayer.contrib.django.urls")),
]
