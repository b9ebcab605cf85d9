"""Tests of the project's own, for ``manage.py test django_site.checked``."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic, sleep

from django.contrib.auth import get_user_model
from django.test import TestCase

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.django.test import EmptyDatabasesMixin
from datalayer.models import Metric, MetricSeries
from django_site.models import Note


class Fresh(EmptyDatabasesMixin, TestCase):
    """Each test stores the same, and finds nothing but that."""

    def store_and_count(self) -> None:
        get_user_model().objects.create(username="ann")
        Note(text="a note").save()
        Metric(series=MetricSeries(name="speed"), value=1.0).save()
        found = (get_user_model().objects.count(), Note.objects.count(), Metric.objects.count())
        assert found == (1, 1, 1)

    def test_one(self) -> None:
        self.store_and_count()

    def test_another(self) -> None:
        self.store_and_count()

    def test_the_first_request_finds_the_databases_connected(self) -> None:
        name = db.database.name
        assert self.client.get("/work").json()["notes"] == 1
        assert db.database.name == name

    def test_the_projects_other_settings_hold(self) -> None:
        assert registry.connection().settings.max_pool_size == 7

    def test_every_alias_has_a_database(self) -> None:
        assert set(registry.aliases()) == {"default", "database1", "archive"}


class Meeting(EmptyDatabasesMixin, TestCase):
    """Stores a document while the other class has done so too, where both run side by side."""

    other = "Other"

    def test_side_by_side(self) -> None:
        places = Path(os.environ["MEETING_PLACE"])
        Note(text=type(self).__name__).save()
        (places / type(self).__name__).touch()
        ends = monotonic() + 30
        while not (places / self.other).exists():
            assert monotonic() < ends, "the other class did not come"
            sleep(0.01)
        assert [note.text for note in Note.objects] == [type(self).__name__]


class Other(Meeting):
    other = "Meeting"
