"""Health verdicts, from statuses as ``db.status()`` gives them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.health import Verdict, verdict
from datalayer.service.service import DatabaseService


def entry(state: str = "connected", **facts: Any) -> dict[str, Any]:
    connected = state in ("connected", "degraded")
    return {
        "connected": connected,
        "state": state,
        "required": False,
        "last_error": None,
        **facts,
    }


def test_all_databases_connected_is_ready() -> None:
    status = {"default": entry(required=True), "database1": entry()}
    assert verdict(status) == Verdict(live=True, ready=True, degraded=False, reasons=())


def test_a_required_database_that_is_away_means_not_ready() -> None:
    status = {"default": entry("unavailable", required=True), "database1": entry()}
    assert verdict(status) == Verdict(
        live=True, ready=False, degraded=True, reasons=("default: required and unavailable",)
    )


def test_an_optional_database_that_is_away_means_ready_but_degraded() -> None:
    status = {"default": entry(required=True), "database1": entry("unavailable")}
    assert verdict(status) == Verdict(
        live=True, ready=True, degraded=True, reasons=("database1: optional and unavailable",)
    )


def test_the_reason_repeats_the_last_error() -> None:
    status = {"default": entry("unavailable", required=True, last_error="no answer within 2 s")}
    assert verdict(status).reasons == ("default: required and unavailable (no answer within 2 s)",)


@pytest.mark.parametrize("state", ["disconnected", "connecting", "unavailable"])
def test_no_state_without_a_connection_is_ready(state: str) -> None:
    assert verdict({"default": entry(state, required=True)}).ready is False


def test_a_replica_set_that_lacks_a_member_is_ready_but_degraded() -> None:
    judged = verdict({"default": entry("degraded", required=True)})
    assert (judged.ready, judged.degraded) == (True, True)


def test_indexes_that_could_not_be_built_mean_degraded() -> None:
    judged = verdict({"database1": entry(last_error="index x: duplicate values")})
    assert judged == Verdict(True, True, True, ("database1: index x: duplicate values",))


def test_no_database_at_all_is_not_ready() -> None:
    assert verdict({}) == Verdict(True, False, True, ("no database is configured",))


def test_the_process_is_live_whatever_the_databases_do() -> None:
    assert verdict({"default": entry("unavailable", required=True)}).live is True


def test_a_verdict_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        verdict({}).ready = True  # type: ignore[misc]


def test_it_takes_what_the_facade_gives_before_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    untried = {alias: DatabaseService(alias) for alias in ("default", "database1")}
    monkeypatch.setattr(registry, "services", untried)
    judged = verdict(db.status())
    assert (judged.live, judged.ready) == (True, False)
    assert judged.reasons[0] == "default: required and disconnected"
