"""``path("", include("datalayer.contrib.django.urls"))`` serves the health views below it."""

from __future__ import annotations

from django.urls import path

from datalayer.contrib.django.views import view_of

app_name = "datalayer"
urlpatterns = [
    path("livez", view_of("/livez"), name="livez"),
    path("readyz", view_of("/readyz"), name="readyz"),
    path("status", view_of("/status"), name="status"),
    path("status.json", view_of("/status.json"), name="status-json"),
]
