"""The server's codes: what each kind means, and that nothing else in the package has numbers of
its own for them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pymongo import helpers_shared
from pymongo.errors import (
    BulkWriteError,
    ExecutionTimeout,
    NotPrimaryError,
    OperationFailure,
    WriteError,
)

import datalayer
from datalayer.errors import DataLayerError, OutcomeUnknownError, UnavailableError
from datalayer.failures.operations import Effect, Operation, operation_error
from datalayer.failures.server_codes import (
    CREDENTIALS,
    NOT_PRIMARY,
    PASSING,
    SHUTTING_DOWN,
    UNSUITABLE,
    ServerCode,
    code_of,
    is_refusal,
)
from datalayer.recorder.bulk_insert import _says_nothing_of_events

PACKAGE = Path(datalayer.__file__).parent


def test_what_the_driver_takes_for_passing_is_so_here() -> None:
    assert helpers_shared._SHUTDOWN_CODES <= SHUTTING_DOWN
    assert helpers_shared._NOT_PRIMARY_CODES <= NOT_PRIMARY | SHUTTING_DOWN
    assert helpers_shared._RETRYABLE_ERROR_CODES <= PASSING


def test_nothing_passes_and_is_refused() -> None:
    assert not PASSING & (CREDENTIALS | UNSUITABLE)


@pytest.mark.parametrize("kind", [OperationFailure, WriteError])
def test_a_refusal_is_told_by_the_code_and_not_by_the_class(kind: type[OperationFailure]) -> None:
    assert is_refusal(kind("", ServerCode.AuthenticationFailed))
    assert not is_refusal(kind("", ServerCode.ExceededTimeLimit))
    assert not is_refusal(ExecutionTimeout("", ServerCode.MaxTimeMSExpired))
    assert not is_refusal(NotPrimaryError("", {"code": ServerCode.NotWritablePrimary}))


def test_what_goes_wrong_in_the_middle_of_the_authentication_is_a_refusal() -> None:
    assert is_refusal(OperationFailure("Server returned an invalid signature."))


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (OperationFailure("", 18), 18),
        (NotPrimaryError("", {"code": 189}), 189),
        (NotPrimaryError("", []), None),
        (BulkWriteError({"writeErrors": [{"code": 121}, {"code": 50}]}), 121),
        (BulkWriteError({"writeErrors": []}), None),
        (ValueError(), None),
        (None, None),
    ],
)
def test_the_code_is_found_where_the_driver_keeps_it(
    exc: BaseException | None, code: int | None
) -> None:
    assert code_of(exc) == code


def outcome(exc: OperationFailure, effect: Effect, sent: int = 1) -> type[DataLayerError] | None:
    operation = Operation("update", "parcel", "default", ("host",), effect, sent, 0, closed=False)
    error = operation_error(exc, operation)
    return None if error is None else type(error)


WITH_LABEL = {"errorLabels": ["TransientTransactionError"]}


@pytest.mark.parametrize(
    ("exc", "effect", "expected"),
    [
        (OperationFailure("", ServerCode.ExceededTimeLimit), "none", UnavailableError),
        (OperationFailure("", ServerCode.ExceededTimeLimit), "one", UnavailableError),
        (OperationFailure("", ServerCode.ExceededTimeLimit), "many", OutcomeUnknownError),
        (OperationFailure("", ServerCode.Interrupted), "many", OutcomeUnknownError),
        (OperationFailure("", ServerCode.NetworkTimeout), "none", UnavailableError),
        (OperationFailure("", ServerCode.NetworkTimeout), "one", OutcomeUnknownError),
        (OperationFailure("", ServerCode.SocketException), "many", OutcomeUnknownError),
        (BulkWriteError({"writeErrors": [{"code": 9001}]}), "many", OutcomeUnknownError),
        (BulkWriteError({"writeErrors": [{"code": 365}]}), "many", UnavailableError),
        (WriteError("", ServerCode.InterruptedDueToReplStateChange), "one", UnavailableError),
        (WriteError("", ServerCode.InterruptedAtShutdown), "many", OutcomeUnknownError),
        (OperationFailure("", ServerCode.WriteConflict, WITH_LABEL), "none", None),
        (OperationFailure("", ServerCode.DuplicateKey), "one", None),
        (OperationFailure("", ServerCode.DocumentValidationFailure), "many", None),
        (OperationFailure("", ServerCode.BadValue), "none", None),
    ],
)
def test_an_operation_that_the_server_can_not_do_now_is_told_so(
    exc: OperationFailure, effect: Effect, expected: type[DataLayerError] | None
) -> None:
    assert outcome(exc, effect) is expected


@pytest.mark.parametrize("code", sorted(PASSING | CREDENTIALS | {ServerCode.OutOfDiskSpace}))
def test_an_event_is_kept_while_the_server_does_not_take_any(code: int) -> None:
    assert _says_nothing_of_events(OperationFailure("", code))


@pytest.mark.parametrize(
    "code", [ServerCode.DocumentValidationFailure, ServerCode.BadValue, 17280]
)
def test_an_event_that_the_server_has_looked_at_is_refused(code: int) -> None:
    assert not _says_nothing_of_events(OperationFailure("", code))


def _asks_for_a_code(node: ast.AST) -> bool:
    named = isinstance(node, ast.Attribute) and node.attr == "code"
    variable = isinstance(node, ast.Name) and node.id == "code"
    constants = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    return named or variable or "code" in constants


def test_no_code_is_compared_with_a_number() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and _asks_for_a_code(node.left)
        for other in node.comparators
        for each in ast.walk(other)
        if isinstance(each, ast.Constant) and type(each.value) is int and each.value > 1
    ]
    assert found == []
