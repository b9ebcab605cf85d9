"""The demo's questions to both databases: what each finds, how long it takes, and by which
index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from datalayer.cli.demo.data import BERLIN, World
from datalayer.documents import QuerySet
from datalayer.indexes import alias_of
from datalayer.models import (
    Advertisement,
    AnalyticsEvent,
    ChatMessage,
    Document,
    Metric,
    Profile,
    Transaction,
    User,
)

Stages = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What a question gave."""

    question: str
    database: str
    results: int
    ms: float
    index: str


def ask(world: World, now: datetime) -> list[Answer]:
    """Put all questions, one after the other."""
    return [
        *(_find(question, query) for question, query in _queries(world, now)),
        *(_aggregate(*aggregation) for aggregation in _aggregations(now)),
    ]


def _queries(world: World, now: datetime) -> Iterator[tuple[str, QuerySet[Any]]]:
    someone, conversation = world.users[0], world.conversations[0]
    reader = conversation.participant_ids()[0]
    week = now - timedelta(days=7)
    yield "sign in: user by e-mail", User.objects(email=someone.email)
    yield "profiles within 10 km of Berlin", Profile.near(*BERLIN, kilometres=10)
    yield "text search for 'bicycle'", Advertisement.search("bicycle")
    yield "20 newest offers of a category", Advertisement.in_category("music").limit(20)
    yield "unread messages of a user", ChatMessage.objects(unread_by=reader)
    yield "latest messages of a conversation", ChatMessage.page(conversation, limit=20)
    views = AnalyticsEvent.named("page.viewed", since=week)
    yield "100 latest page views of the week", views.limit(100)
    yield "what a user did", AnalyticsEvent.of_user(someone.pk)


def _aggregations(now: datetime) -> Iterator[tuple[str, type[Document], Stages]]:
    month, week, hour = (
        now - timedelta(**ago) for ago in ({"days": 30}, {"days": 7}, {"hours": 1})
    )
    yield (
        "revenue of 30 days by currency",
        Transaction,
        [
            {"$match": {"status": "captured", "status_changed_at": {"$gte": month}}},
            {"$group": {"_id": "$currency", "revenue": {"$sum": "$amount"}}},
        ],
    )
    yield (
        "page views per day of the week",
        AnalyticsEvent,
        [
            {"$match": {"name": "page.viewed", "occurred_at": {"$gte": week}}},
            {
                "$group": {
                    "_id": {"$dateTrunc": {"date": "$occurred_at", "unit": "day"}},
                    "views": {"$sum": 1},
                }
            },
        ],
    )
    yield (
        "response times of the hour by route",
        Metric,
        [
            {"$match": {"series.name": "request.ms", "measured_at": {"$gte": hour}}},
            {"$group": {"_id": "$series.labels.route", "mean_ms": {"$avg": "$value"}}},
        ],
    )


def _find(question: str, query: QuerySet[Any]) -> Answer:
    results, ms = _timed(lambda: list(query))
    return _answer(question, query._document, results, ms, query.explain())


def _aggregate(question: str, model: type[Document], stages: Stages) -> Answer:
    results, ms = _timed(lambda: list(model.objects.aggregate(stages)))
    collection = model._get_collection()
    plan = collection.database.command(
        "explain",
        {"aggregate": collection.name, "pipeline": stages, "cursor": {}},
        verbosity="queryPlanner",
    )
    return _answer(question, model, results, ms, plan)


def _answer(
    question: str, model: type[Document], results: Sequence[Any], ms: float, plan: Any
) -> Answer:
    return Answer(question, alias_of(model), len(results), round(ms, 2), index_used(plan))


def _timed(call: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    started = perf_counter()
    results = call()
    return results, (perf_counter() - started) * 1000


def index_used(plan: Any) -> str:
    """The index in MongoDB's answer to ``explain``, or ``none`` where all documents are read."""
    chosen = list(_values(plan, "winningPlan"))
    names = dict.fromkeys(name for part in chosen for name in _values(part, "indexName"))
    return ", ".join(names) or "none"


def _values(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from _values(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, key)
