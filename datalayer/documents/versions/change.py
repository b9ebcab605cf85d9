"""``Model.change``: load, change and save one document, again where somebody was quicker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from pymongo.read_preferences import ReadPreference
from tenacity import RetryCallState

from datalayer import transactions
from datalayer.context.deadlines import deadline
from datalayer.context.decorators import comes_later, name_of, runs_later
from datalayer.errors import ConfigurationError, StaleDocumentError
from datalayer.retry import run_again

logger = logging.getLogger("datalayer.documents")

_FIRST_WAIT_SECONDS = 0.01  # others hold a document for as long as they load and save it


def changed(
    model: Any,
    pk: Any,
    function: Callable[[Any], object],
    *,
    attempts: int,
    max_seconds: float,
) -> Any:
    """What ``Model.change`` does."""
    if model._version_key is None:
        raise ConfigurationError(
            f"{model.__name__}.change() needs meta = {{'versioned': True}} in the model: without "
            "a version, a change that others make between loading and saving would be lost"
        )
    if runs_later(function):
        raise ConfigurationError(_refusal(function))
    loaded: Any = None

    def attempt(seconds_left: float) -> Any:
        nonlocal loaded
        with deadline(seconds_left):
            # A secondary could give the same old version again and again.
            loaded = model.objects.read_preference(ReadPreference.PRIMARY).get(pk=pk)
            if comes_later(function(loaded)):
                raise ConfigurationError(_refusal(function))
            return loaded.save()

    def may_help(exc: BaseException) -> bool:
        if not isinstance(exc, StaleDocumentError) or loaded is None:
            return False
        return (exc.collection, exc.id) == (loaded._get_collection().name, loaded.pk)

    # A transaction doesn't see what others have changed since it began: the server tells of the
    # conflict, and who runs all of it again begins with what is there then.
    is_alone = transactions.current() is None
    return run_again(
        attempt,
        attempts=attempts if is_alone else 1,
        max_seconds=max_seconds,
        retryable=may_help,
        before_sleep=partial(_tell, model.__name__),
        first_wait_seconds=_FIRST_WAIT_SECONDS,
    )


def _refusal(function: Any) -> str:
    return (
        f"{name_of(function)} is or gives a generator or a coroutine, whose body runs after the "
        "document was saved; give change() a function that has made its changes when it returns"
    )


def _tell(model: str, state: RetryCallState) -> None:
    logger.debug(
        "a %s was changed by others meanwhile, and is changed again",
        model,
        extra={"event": "change_retry", "attempt": state.attempt_number},
    )
