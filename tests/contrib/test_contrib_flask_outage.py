"""The Flask example's status page while its server hangs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from flask import Flask
from paths import EXAMPLES

from datalayer import db
from datalayer.embedded import EmbeddedMongo

EXAMPLE = EXAMPLES / "flask_app"


@pytest.fixture
def market(
    mongod: EmbeddedMongo, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Flask, FaultyProxy]]:
    """The flea market, its server behind a proxy."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from flea_market import create_app

    with FaultyProxy(mongod.hosts[0]) as proxy:
        config: dict[str, Any] = {
            "MONGODB_URI": proxy.uri_for(database_name),
            "SECRET_KEY": "of the tests",
            "ADMINS": ["ada@example.org"],
        }
        try:
            yield create_app(config), proxy
        finally:
            proxy.restore()
            db.disconnect_all()


def test_the_flea_market_s_admin_sees_what_fails_while_the_server_hangs(
    market: tuple[Flask, FaultyProxy],
) -> None:
    app, proxy = market
    clients = {}
    for name in ("ada", "eve"):
        clients[name] = app.test_client()
        form = {"email": f"{name}@example.org", "password": f"{name}-password"}
        signed_up = clients[name].post("/sign-up", data={**form, "display_name": name})
        assert signed_up.status_code == 303
        clients[name].get("/")  # which asks who is an admin, for the link to the page
    proxy.hang()
    answers = {name: client.get("/status") for name, client in clients.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "ada": 200,
        "eve": 403,
    }
    text = answers["ada"].text
    assert "Not ready" in text
    assert "find sessions" in text  # what failed
