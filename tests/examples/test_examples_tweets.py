"""``examples/tweets.py`` against the tweets themselves, read and counted in plain Python.

The archive of MongoDB's driver benchmark can't be shipped. Where it is absent, only the tests on
generated tweets run. All its tweets are equal; the generated ones are not.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paths import EXAMPLES
from running_programs import python

from datalayer import Settings, db
from datalayer.embedded import EmbeddedMongo
from datalayer.models import AnalyticsEvent, ChatMessage, Conversation, Profile, User

pytestmark = pytest.mark.applications

ABSENT = Path("absent.tgz")
LIMITS = {"real": 20_000, "generated": 2_000}


def tweet_source() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tweet_source", EXAMPLES / "tweet_source.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


SOURCE = tweet_source()


@dataclass(frozen=True)
class Run:
    """A run of the script: what it read, where it stored it, what it said."""

    kind: str
    archive: Path
    uris: dict[str, str]
    report: dict[str, Any]
    tweets: list[dict[str, Any]] = field(repr=False)
    """The tweets that it should have taken, read without its help where they are real."""


def tweets_in(kind: str, archive: Path) -> Iterator[dict[str, Any]]:
    if kind == "generated":
        return iter(SOURCE.raw(ABSENT, LIMITS[kind])[1])
    return islice(map(json.loads, lines_in(archive)), LIMITS[kind])


def lines_in(archive: Path) -> Iterator[bytes]:
    with tarfile.open(archive) as files:
        for file in files:
            if file.isfile() and file.name.startswith("parallel/ldjson_multi/"):
                yield from files.extractfile(file) or ()


def run_script(archive: Path, kind: str, uris: dict[str, str]) -> dict[str, Any]:
    environ = {
        **os.environ,
        "DATALAYER_TEST_DATA": str(archive),
        "MONGODB_URI": uris["default"],
        "DATABASE1_URI": uris["database1"],
    }
    done = python(EXAMPLES / "tweets.py", str(LIMITS[kind]), env=environ, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module", params=[pytest.param("real", marks=pytest.mark.slow), "generated"])
def run(request: pytest.FixtureRequest, mongod: EmbeddedMongo) -> Run:
    kind: str = request.param
    archive = SOURCE.default_archive() if kind == "real" else ABSENT
    if kind == "real" and (archive is None or not archive.is_file()):
        pytest.skip("the archive is absent; the generated tweets have to do")
    uris = {
        "default": mongod.uri_for(f"test_tweets_{kind}"),
        "database1": mongod.uri_for(f"test_tweets_{kind}_analytics"),
    }
    report = run_script(archive, kind, uris)
    return Run(kind, archive, uris, report, list(tweets_in(kind, archive)))


@pytest.fixture
def stored(run: Run) -> Iterator[Run]:
    """The databases of the run, connected."""
    with db.connected(Settings(databases=run.uris)):
        yield run


def handle(name: str) -> str:
    return name.lower()


def addressee(tweet: dict[str, Any]) -> str:
    author, to = tweet["user"]["screen_name"], tweet["in_reply_to_screen_name"]
    return "everyone" if to is None or handle(to) == handle(author) else handle(to)


def best(labels: Iterable[str]) -> list[list[Any]]:
    ranked = sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))
    return [list(pair) for pair in ranked[:3]]


def authors(tweets: Iterable[dict[str, Any]]) -> list[str]:
    return [handle(tweet["user"]["screen_name"]) for tweet in tweets]


def test_the_output_says_which_tweets_they_were(run: Run) -> None:
    expected = {
        "real": "real tweets from parallel.tgz",
        "generated": "generated tweets, because absent.tgz is absent",
    }
    assert run.report["source"] == expected[run.kind]


def test_without_the_variable_the_tweets_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATALAYER_TEST_DATA", raising=False)

    what, tweets = SOURCE.read(SOURCE.default_archive(), 3)

    assert what == "generated tweets, because DATALAYER_TEST_DATA names no archive"
    assert len(list(tweets)) == 3


def test_who_writes_most(run: Run) -> None:
    assert run.report["answers"]["Who writes most?"] == best(authors(run.tweets))


def test_at_what_hour_they_write(run: Run) -> None:
    sent = [
        datetime.strptime(tweet["created_at"], "%a %b %d %H:%M:%S +0000 %Y")
        for tweet in run.tweets
    ]
    hours = [f"{moment.hour:02}:00" for moment in sent]
    assert run.report["answers"]["At what hour of the day (UTC)?"] == best(hours)


def test_in_which_languages_they_write(run: Run) -> None:
    languages = [tweet["user"]["lang"] for tweet in run.tweets]
    assert run.report["answers"]["In which languages?"] == best(languages)


def test_in_which_time_zones_the_authors_live(run: Run) -> None:
    zones = [tweet["user"]["time_zone"] or "UTC" for tweet in run.tweets]
    assert run.report["answers"]["In which time zones do the authors live?"] == best(zones)


def test_which_conversations_are_the_longest(run: Run) -> None:
    tweets = run.tweets
    pairs = zip(authors(tweets), map(addressee, tweets), strict=True)
    expected = best(" and ".join(sorted(pair)) for pair in pairs)
    assert run.report["answers"]["Which conversations are the longest?"] == expected


def test_everyone_in_the_tweets_is_one_user_with_one_profile(stored: Run) -> None:
    tweets = stored.tweets
    people = {*authors(tweets), *map(addressee, tweets)}
    addresses = sorted(f"{one}@twitter.example" for one in people)
    owners = [one.user.email for one in Profile.objects]
    assert sorted(User.objects.scalar("email")) == addresses
    assert sorted(owners) == addresses


def test_every_tweet_is_a_message_and_an_event(stored: Run) -> None:
    counts = (ChatMessage.objects.count(), AnalyticsEvent.objects.count())
    assert counts == (LIMITS[stored.kind], LIMITS[stored.kind])


def test_what_the_tweets_say_is_in_the_messages(stored: Run) -> None:
    texts = Counter(tweet["text"] for tweet in stored.tweets)
    assert Counter(ChatMessage.objects.scalar("text")) == texts


def test_the_stored_documents_are_valid(stored: Run) -> None:
    for model in (User, Profile, Conversation, ChatMessage, AnalyticsEvent):
        for document in model.objects.limit(LIMITS["generated"]):
            document.validate()


def test_an_authors_profile_tells_what_the_tweets_tell_of_him(stored: Run) -> None:
    author = stored.tweets[0]["user"]
    email = f"{handle(author['screen_name'])}@twitter.example"
    profile = Profile.of(User.by_email(email))
    assert profile is not None
    told = [author[fact] for fact in ("description", "location", "url") if author[fact]]
    assert (profile.about, profile.preferences.language) == ("\n".join(told), author["lang"])


@pytest.mark.parametrize("run", ["generated"], indirect=True)
def test_a_second_run_adds_nothing(run: Run) -> None:
    assert run_script(run.archive, run.kind, run.uris) == run.report
