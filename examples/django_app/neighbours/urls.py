"""Which view answers to which path."""

from __future__ import annotations

from django.urls import include, path

from neighbours.views import advertisements, chat, metrics, numbers, payments, people, profiles

urlpatterns = [
    path("", advertisements.overview, name="home"),
    path("sign-up", people.sign_up, name="sign-up"),
    path("login", people.log_in, name="login"),
    path("logout", people.log_out, name="logout"),
    path("profile", profiles.own, name="profile"),
    path("nearby", profiles.nearby, name="nearby"),
    path("advertisements/new", advertisements.offer, name="offer"),
    path("advertisements/<oid:key>", advertisements.show, name="advertisement"),
    path("advertisements/<oid:key>/remove", advertisements.remove, name="remove"),
    path("advertisements/<oid:key>/pay", payments.pay, name="pay"),
    path("payments", payments.overview, name="payments"),
    path("chat", chat.overview, name="chats"),
    path("chat/with/<oid:key>", chat.begin, name="begin-chat"),
    path("chat/<oid:key>", chat.show, name="chat"),
    path("metrics", metrics.show, name="metrics"),
    path("numbers", numbers.overview, name="numbers"),
    path("", include("datalayer.contrib.django.urls")),  # /livez, /readyz, /status
]
