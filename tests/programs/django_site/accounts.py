"""URLs of Django's own views for accounts."""

from __future__ import annotations

from django.contrib.auth import views
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, JsonResponse
from django.urls import path


def whoami(request: HttpRequest) -> JsonResponse:
    user = request.user
    return JsonResponse({"name": user.get_username(), "known": user.is_authenticated})


async def whoami_later(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    return JsonResponse({"name": user.get_username()})


RESET = {"email_template_name": "mail.txt", "subject_template_name": "subject.txt"}
urlpatterns = [
    path("who", whoami),
    path("who-later", whoami_later),
    path("mine", login_required(whoami)),
    path("change", permission_required("shop.change_offer", raise_exception=True)(whoami)),
    path("login", views.LoginView.as_view(template_name="form.html", next_page="/who")),
    path("logout", views.LogoutView.as_view(next_page="/who")),
    path("password", views.PasswordChangeView.as_view(template_name="form.html", success_url="/")),
    path(
        "forgotten",
        views.PasswordResetView.as_view(template_name="form.html", success_url="/who", **RESET),
    ),
    path(
        "reset/<uidb64>/<token>/",
        views.PasswordResetConfirmView.as_view(template_name="form.html", success_url="/who"),
        name="password_reset_confirm",
    ),
]
