"""Signing up, in and out."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from neighbours import accounts
from neighbours.forms import LogIn, SignUp


def sign_up(request: HttpRequest) -> HttpResponse:
    form = SignUp(request.POST or None)
    if form.is_valid():
        try:
            user = accounts.sign_up(**form.cleaned_data)
        except accounts.AddressTakenError:
            form.add_error("email", "There is an account with this address.")
        else:
            accounts.log_in(request, user)
            messages.success(request, f"Welcome, {form.cleaned_data['display_name']}!")
            return redirect(accounts.next_page(request, "profile"))
    shown = {"form": form, "title": "Sign up", "button": "Sign up", "other": "login"}
    return render(request, "form.html", shown)


def log_in(request: HttpRequest) -> HttpResponse:
    form = LogIn(request.POST or None)
    if form.is_valid():
        user = accounts.authenticated(**form.cleaned_data)
        if user is not None:
            accounts.log_in(request, user)
            return redirect(accounts.next_page(request, "home"))
        form.add_error("password", "The address or the password is wrong.")
    shown = {"form": form, "title": "Log in", "button": "Log in", "other": "sign-up"}
    return render(request, "form.html", shown)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    messages.success(request, "You are logged out.")
    return redirect("home")
