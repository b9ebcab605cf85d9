"""Where the tweets of `tweets.py` come from: the archive of MongoDB's driver benchmark, read as a
stream, or generated ones of the same shape where it is absent (its licence forbids shipping it).

All 500,000 lines of the archive hold the same real tweet; the generated ones differ.
"""

from __future__ import annotations

import json
import os
import random
import tarfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from itertools import count, islice
from pathlib import Path
from typing import Any

from bson import ObjectId

Json = dict[str, Any]

_TIME_FORMAT = "%a %b %d %H:%M:%S %z %Y"
_BENCHMARK = Path("driver-benchmark", "parallel.tgz")


@dataclass(frozen=True)
class Person:
    """Somebody who writes tweets or is written to. The handle is what people are known by."""

    handle: str
    name: str | None = None
    about: str | None = None
    language: str | None = None
    time_zone: str | None = None

    @cached_property
    def key(self) -> ObjectId:
        """The same id in every run."""
        return _key("person", self.handle)

    @property
    def shown(self) -> str:
        """The name to show."""
        return self.name or self.handle

    def joined(self, other: Person | None) -> Person:
        """What both tell together: a tweet has its author's facts, a mention has the name."""
        if other is None or other == self:
            return self
        return Person(
            *(mine or theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )


@dataclass(frozen=True)
class Tweet:
    """A tweet of one person to another, or to everyone."""

    line: int
    """Where it stands in the source. The archive's tweets have no id, and are all equal."""
    author: Person
    to: Person
    text: str
    sent_at: datetime

    @cached_property
    def key(self) -> ObjectId:
        """The same id in every run."""
        return _key("tweet", self.line, self.author.handle, self.text)

    @cached_property
    def pair(self) -> tuple[ObjectId, ObjectId]:
        """The two who talk, in the same order for each direction."""
        one, other = sorted((self.author.key, self.to.key))
        return one, other

    @cached_property
    def chat(self) -> ObjectId:
        """The id of their conversation, the same in every run."""
        return _key("chat", *self.pair)


EVERYONE = Person("everyone", name="Everyone")
"""The addressee of a tweet that is no reply."""


def default_archive() -> Path | None:
    """The archive that DATALAYER_TEST_DATA names, or that lies in the directory it names."""
    named = os.environ.get("DATALAYER_TEST_DATA")
    if not named:
        return None
    data = Path(named)
    return data / _BENCHMARK if data.is_dir() else data


def read(archive: Path | None, limit: int) -> tuple[str, Iterator[Tweet]]:
    """What the source is, and up to `limit` tweets from it."""
    what, found = raw(archive, limit)
    return what, (_tweet(line, each) for line, each in enumerate(found, 1))


def raw(archive: Path | None, limit: int) -> tuple[str, Iterator[Json]]:
    """The same, as the tweets stand in the source."""
    if archive is None:
        because = "DATALAYER_TEST_DATA names no archive"
        return f"generated tweets, because {because}", islice(_generated(), limit)
    if archive.is_file():
        return f"real tweets from {archive.name}", islice(_real(archive), limit)
    return f"generated tweets, because {archive.name} is absent", islice(_generated(), limit)


def _tweet(line: int, raw: Json) -> Tweet:
    return Tweet(
        line=line,
        author=_author(raw["user"]),
        to=_addressee(raw),
        text=raw["text"],
        sent_at=datetime.strptime(raw["created_at"], _TIME_FORMAT),
    )


def _author(raw: Json) -> Person:
    facts = (raw.get(name) for name in ("description", "location", "url"))
    return Person(
        handle=raw["screen_name"].lower(),  # Twitter's names ignore case
        about="\n".join(fact for fact in facts if fact),
        language=raw["lang"],
        time_zone=raw["time_zone"],
    )


def _addressee(raw: Json) -> Person:
    handle = (raw["in_reply_to_screen_name"] or "").lower()
    if handle in ("", raw["user"]["screen_name"].lower()):
        return EVERYONE
    mentions = {one["screen_name"].lower(): one for one in raw["entities"]["user_mentions"]}
    return Person(handle, name=mentions.get(handle, {}).get("name"))


def _key(*parts: object) -> ObjectId:
    return ObjectId(blake2b(repr(parts).encode(), digest_size=12).digest())


def _real(archive: Path) -> Iterator[Json]:
    with tarfile.open(archive, "r|gz") as files:
        for member in files:
            if "ldjson_multi/" in member.name and (lines := files.extractfile(member)):
                yield from map(json.loads, lines)


def _generated(authors: int = 200) -> Iterator[Json]:
    chance = random.Random(2010)  # noqa: S311 - the same tweets in every run, no secret
    people = [_invented(number, chance) for number in range(1, authors + 1)]
    start = datetime(2010, 9, 2, tzinfo=UTC)
    for number in count(1):
        author = people[int(authors * chance.random() ** 3)]  # few write much, many write little
        other = chance.choice(people) if chance.random() < 0.6 else None
        mention = [{name: other[name] for name in ("screen_name", "name", "id")}] if other else []
        yield {
            "text": f"@{other['screen_name']} hello" if other else f"Hello number {number}",
            "created_at": (start + timedelta(seconds=17 * number)).strftime(_TIME_FORMAT),
            "in_reply_to_screen_name": other and other["screen_name"],
            "entities": {"user_mentions": mention, "urls": [], "hashtags": []},
            "user": {name: author[name] for name in author if name not in ("id", "name")},
        }


def _invented(number: int, chance: random.Random) -> Json:
    return {
        "id": 15_000_000 + number,
        "screen_name": f"Person{number}",
        "name": f"Person {number}",
        "lang": chance.choice(["en", "en", "en", "es", "ja", "pt"]),
        "time_zone": chance.choice(["Mountain Time (US & Canada)", "Lisbon", None]),
        "location": chance.choice(["Lisboa", "Minneapolis, MN", "", None]),
        "description": chance.choice(["designer + foodie", "", None]),
        "url": chance.choice(["http://example.com/", None]),
    }
