"""Callbacks: called with each event, never in the way of what caused it."""

from __future__ import annotations

import logging
import threading

import pytest

from datalayer.service.events import Event, EventBus

DEADLINE = 60.0


@pytest.fixture
def bus():
    bus = EventBus()
    yield bus
    bus.finish()


def test_a_callback_gets_the_event(bus: EventBus) -> None:
    got: list[Event] = []
    bus.on("connected", got.append)
    bus.publish(Event("connected", "default"))
    assert got == [Event("connected", "default")]


def test_a_callback_that_was_taken_off_is_not_called(bus: EventBus) -> None:
    got: list[Event] = []
    bus.on("connected", got.append)
    bus.off("connected", got.append)
    bus.publish(Event("connected", "default"))
    assert got == []


def test_taking_off_an_unknown_callback_does_nothing(bus: EventBus) -> None:
    bus.off("connected", print)


def test_an_unknown_event_is_refused_with_the_names_that_exist(bus: EventBus) -> None:
    with pytest.raises(ValueError, match="no event 'conected'; there are connecting, connected"):
        bus.on("conected", print)


def test_a_callback_that_raises_is_logged_and_the_next_one_is_called(
    bus: EventBus, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Event] = []

    def fails(event: Event) -> None:
        raise RuntimeError("callback")

    bus.on("connected", fails)
    bus.on("connected", got.append)
    with caplog.at_level(logging.ERROR, logger="datalayer"):
        bus.publish(Event("connected", "default"))
    assert len(got) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "a callback for 'connected' failed"
    ]


def test_a_posted_event_is_delivered_in_another_thread(bus: EventBus) -> None:
    delivered = threading.Event()
    threads: list[threading.Thread] = []

    def callback(event: Event) -> None:
        threads.append(threading.current_thread())
        delivered.set()

    bus.on("recovered", callback)
    bus.post(Event("recovered", "default"))
    assert delivered.wait(DEADLINE)
    assert threads != [threading.current_thread()]


def test_posting_does_not_wait_for_a_callback_that_hangs(bus: EventBus) -> None:
    hanging, release = threading.Event(), threading.Event()

    def hangs(event: Event) -> None:
        hanging.set()
        release.wait(DEADLINE)

    bus.on("slow_command", hangs)
    for _ in range(2000):  # more than may wait: the rest is dropped
        bus.post(Event("slow_command", "default"))
    assert hanging.wait(DEADLINE)
    release.set()


def test_finishing_delivers_what_was_posted_before(bus: EventBus) -> None:
    got: list[str] = []
    bus.on("recovered", lambda event: got.append(event.name))
    bus.post(Event("recovered", "default"))
    bus.finish()
    assert got == ["recovered"]


def test_without_callbacks_no_thread_is_started(bus: EventBus) -> None:
    before = threading.active_count()
    bus.post(Event("slow_command", "default"))
    assert threading.active_count() == before
