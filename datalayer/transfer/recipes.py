"""Transfers with a name, to be run again and again, from cron say: each run goes on with the one
before where that was interrupted, or else makes a plan for what has become due."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import pymongo

from datalayer.documents import utc_now
from datalayer.errors import ConfigurationError
from datalayer.transfer.api import known, resume, run
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import explained
from datalayer.transfer.journal.entry import Damaged, Entry
from datalayer.transfer.plan import Plan
from datalayer.transfer.planning.build import plan
from datalayer.transfer.report import Report
from datalayer.transfer.runner.workers import OnProgress
from datalayer.transfer.transform import function_of

Recipe: TypeAlias = Callable[..., Plan]
"""Takes the transfer's ``name`` and options of its own, texts by keyword; gives the plan."""

_GROUP = "datalayer.recipes"
_MOST_CONVERSATIONS = 10_000
_SELECT_SECONDS = 600.0
_OVER = ("done", "drifted", "rolling_back", "rolled_back")


def history_chat_messages(name: str, *, days: str = "365") -> Plan:
    """Move the messages of conversations that have been silent for ``days`` to ``database1``.

    Each becomes a ``HistoryRecord`` that holds the message as it was. Up to 10,000
    conversations at a time, those silent for longest first.
    """
    from datalayer.models import ChatMessage, HistoryRecord

    now = utc_now()
    silent_since = now - timedelta(days=_whole_days(days))
    conversations = _silent_conversations(silent_since)
    return plan(
        name,
        models=[ChatMessage],
        collections={
            ChatMessage._get_collection_name(): HistoryRecord._get_collection_name(),
        },
        target="database1",
        filter={"conversation": {"$in": conversations}, "sent_at": {"$lt": silent_since}},
        move=True,
        conflicts="skip",
        transform=f"{__name__}:as_history",
        inverse=f"{__name__}:from_history",
        constants={
            "source_alias": "default",
            "source_collection": ChatMessage._get_collection_name(),
            "operation": "move",
            "reason": f"silent for {days} days",
            "recorded_at": now,
        },
        carry_options=False,
    )


def as_history(document: dict[str, Any]) -> dict[str, Any]:
    """A document inside a record of what it was."""
    return {"_id": document["_id"], "source_id": document["_id"], "snapshot": document}


def from_history(record: dict[str, Any]) -> dict[str, Any]:
    """The document that ``as_history`` put into a record."""
    snapshot: dict[str, Any] = record["snapshot"]
    return snapshot


RECIPES: Mapping[str, Recipe] = MappingProxyType({"history-chat-messages": history_chat_messages})


def find_recipe(name: str) -> Recipe:
    """The recipe ``name``: one of ours, an entry point ``datalayer.recipes``, or a function that
    is named as ``module:function``.

    Raises:
        ConfigurationError: where there is none.
    """
    if name in RECIPES:
        return RECIPES[name]
    if ":" in name:
        return cast(Recipe, function_of(name))
    installed = {each.name: each for each in entry_points(group=_GROUP)}
    if name not in installed:
        known = ", ".join(sorted({*RECIPES, *installed}))
        raise ConfigurationError(
            f"there is no recipe {name!r}; known are {known}, and functions as module:function"
        )
    return cast(Recipe, installed[name].load())


def plan_recipe(recipe: str, **options: str) -> Plan:
    """The plan that the next run of ``recipe`` would carry out. Writes nothing.

    Raises:
        ConfigurationError, TransferError: as ``plan`` does.
    """
    return _planned(recipe, options, _earlier())


def run_recipe(
    recipe: str, *, on_progress: OnProgress | None = None, **options: str
) -> Report | None:
    """Go on with the last run of ``recipe`` if it was interrupted, or else do what is due.

    Returns ``None`` where nothing is due. Safe to call as often as you like, and at the same
    time: the second is refused while the first is at work.

    Raises:
        ConfigurationError, TransferError: as ``plan``, ``run`` and ``resume`` do.
    """
    earlier = _earlier()
    for each in earlier:
        if each.recipe == recipe and each.state not in _OVER:
            return resume(each.name, target=each.target, on_progress=on_progress)
    due = _planned(recipe, options, earlier)
    return run(due, on_progress=on_progress) if due.count else None


def _earlier() -> list[Entry | Damaged]:
    with explained("looking for transfers"):
        return known()


def _planned(recipe: str, options: Mapping[str, str], earlier: Iterable[Entry | Damaged]) -> Plan:
    function = find_recipe(recipe)
    base = recipe.replace(":", "-").replace(".", "-")
    numbers = [each.name.removeprefix(f"{base}-") for each in earlier]
    number = max((int(text) for text in numbers if text.isdecimal()), default=0) + 1
    try:
        made = function(f"{base}-{number}", **options)
    except TypeError as exc:
        raise ConfigurationError(
            f"the recipe {recipe!r} does not take these options: {', '.join(sorted(options))}"
        ) from exc
    return made.of_recipe(recipe)


def _whole_days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if not 1 <= days <= 36_500:
        raise ConfigurationError(f"days is a whole number from 1 to 36,500, not {text!r}")
    return days


def _silent_conversations(since: Any) -> list[Any]:
    from datalayer.models import ChatMessage, Conversation

    pipeline: list[dict[str, Any]] = [
        {"$match": {"sent_at": {"$lt": since}}},
        {"$group": {"_id": "$conversation"}},
        {
            "$lookup": {
                "from": Conversation._get_collection_name(),
                "localField": "_id",
                "foreignField": "_id",
                "as": "found",
            }
        },
        # One that is gone altogether is silent too.
        {"$match": {"found.last_message_at": {"$not": {"$gte": since}}}},
        {"$sort": {"found.last_message_at": 1, "_id": 1}},
        {"$limit": _MOST_CONVERSATIONS},
        {"$project": {"_id": True}},
    ]
    alias = ChatMessage._meta.get("db_alias", "default")
    messages = Endpoint.of(alias).collection(ChatMessage._get_collection_name())
    with pymongo.timeout(_SELECT_SECONDS):
        found = messages.aggregate(pipeline, allowDiskUse=True)
        return [each["_id"] for each in found]
