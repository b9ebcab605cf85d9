"""The endpoints as a WSGI application, and before one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from datalayer.contrib.wsgi import HealthApp, HealthMiddleware
from datalayer.errors import OutcomeUnknownError, UnavailableError

TOKEN = "a-token-of-the-tests"


class Response:
    """What came of a request, as a server sees it."""

    def __init__(self, application: Any, path: str, method: str = "GET", **environ: str) -> None:
        request: dict[str, Any] = {
            "PATH_INFO": path,
            "REQUEST_METHOD": method,
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            **environ,
        }
        setup_testing_defaults(request)
        self.status = ""
        self.headers: dict[str, str] = {}
        self.begun = 0
        self.written = b""
        body = validator(application)(request, self._start)
        try:
            self.body = self.written + b"".join(body)
        finally:
            body.close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert not self.begun or exc_info, "begun twice without an error (PEP 3333)"
        self.begun += 1
        self.status, self.headers = status, dict(headers)
        return self._write

    def _write(self, data: bytes) -> None:
        self.written += data

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def hello(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


# The application


def test_the_application_serves_the_endpoints() -> None:
    answer = Response(HealthApp(token=TOKEN), "/livez")
    assert (answer.status, answer.document) == ("200 OK", {"status": "pass"})
    assert answer.headers["Content-Type"] == "application/health+json"


def test_head_is_answered_without_a_body() -> None:
    answer = Response(HealthApp(token=TOKEN), "/livez", "HEAD")
    assert (answer.status, answer.body) == ("200 OK", b"")
    assert answer.headers["Content-Length"] == "18"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(method: str) -> None:
    answer = Response(HealthApp(token=TOKEN), "/livez", method)
    assert (answer.status, answer.headers["Allow"]) == ("405 Method Not Allowed", "GET, HEAD")


def test_other_paths_are_not_found() -> None:
    answer = Response(HealthApp(token=TOKEN), "/")
    assert answer.status == "404 Not Found"
    assert "/readyz" in answer.document["error"]


def test_the_header_with_the_token_is_read() -> None:
    application = HealthApp(token=TOKEN)
    assert Response(application, "/status.json").status == "401 Unauthorized"
    authorised = Response(application, "/status.json", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
    assert authorised.status == "200 OK"


# The middleware


def test_the_middleware_hands_on_what_is_not_its_own() -> None:
    application = HealthMiddleware(hello, token=TOKEN)
    assert Response(application, "/livez").document == {"status": "pass"}
    assert Response(application, "/").body == b"hello"
    assert Response(application, "/livez/more").body == b"hello"


@pytest.mark.parametrize("prefix", ["/-", "/-/"])
def test_the_endpoints_may_have_a_prefix(prefix: str) -> None:
    application = HealthMiddleware(hello, prefix=prefix, token=TOKEN)
    assert Response(application, "/-/livez").document == {"status": "pass"}
    assert Response(application, "/livez").body == b"hello"
    assert Response(application, "/-livez").body == b"hello"


# Errors


def failing_at_once(error: Exception) -> Any:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise error

    return application


def failing_after_the_headers(error: Exception) -> Any:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        raise error

    return application


def failing_before_the_first_chunk(error: Exception) -> Any:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b""
        raise error

    return application


FAILING = pytest.mark.parametrize(
    "failing",
    [failing_at_once, failing_after_the_headers, failing_before_the_first_chunk],
    ids=lambda each: each.__name__,
)


@FAILING
def test_an_operation_without_effect_becomes_503(failing: Callable[[Exception], Any]) -> None:
    application = HealthMiddleware(failing(UnavailableError("away")), handle_errors=True)
    answer = Response(application, "/")
    assert (answer.status, answer.headers["Retry-After"]) == ("503 Service Unavailable", "2")
    assert b"away" not in answer.body


@FAILING
def test_errors_pass_unless_told_otherwise(failing: Callable[[Exception], Any]) -> None:
    with pytest.raises(UnavailableError):
        Response(HealthMiddleware(failing(UnavailableError("away"))), "/")


@FAILING
def test_an_unknown_outcome_passes(failing: Callable[[Exception], Any]) -> None:
    application = HealthMiddleware(failing(OutcomeUnknownError("lost")), handle_errors=True)
    with pytest.raises(OutcomeUnknownError):
        Response(application, "/")


def test_an_answer_that_was_begun_is_not_replaced() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"half"
        raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        Response(HealthMiddleware(application, handle_errors=True), "/")


def test_what_was_written_at_once_is_not_replaced() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"half")
        raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        Response(HealthMiddleware(application, handle_errors=True), "/")


def test_what_is_written_at_once_comes_before_the_body() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"one ")
        return iter([b"two"])

    answer = Response(HealthMiddleware(application, handle_errors=True), "/")
    assert (answer.status, answer.body) == ("200 OK", b"one two")


@FAILING
def test_head_gets_503_without_a_body(failing: Callable[[Exception], Any]) -> None:
    application = HealthMiddleware(failing(UnavailableError("away")), handle_errors=True)
    answer = Response(application, "/", "HEAD")
    assert (answer.status, answer.body) == ("503 Service Unavailable", b"")


def test_what_became_503_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = UnavailableError("'default' is away", alias="default")
    Response(HealthMiddleware(failing_at_once(error), handle_errors=True), "/")
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", "answering 503: 'default' is away")
    ]


def test_an_application_may_replace_its_answer_until_it_is_begun() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError("bad")
        except ValueError:
            start_response("400 Bad Request", [("Content-Type", "text/html")], sys.exc_info())
        yield b"sorry"

    answer = Response(HealthMiddleware(application, handle_errors=True), "/")
    assert (answer.status, answer.headers) == ("400 Bad Request", {"Content-Type": "text/html"})


def test_an_application_that_answers_twice_is_told_by_the_server() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"hello"

    with pytest.raises(AssertionError, match="begun twice"):
        Response(HealthMiddleware(application, handle_errors=True), "/")


def test_an_answer_without_a_body_is_announced() -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("204 No Content", [])
        yield from ()

    assert Response(HealthMiddleware(application, handle_errors=True), "/").status.startswith(
        "204"
    )


class Body:
    def __init__(self, error: Exception | None = None) -> None:
        self.closed = False
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        if self.error is not None:
            raise self.error
        yield b"hello"

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "200 OK"), (UnavailableError("away"), "503 Service Unavailable")],
)
def test_the_applications_body_is_closed(error: Exception | None, status: str) -> None:
    body = Body(error)

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    answer = Response(HealthMiddleware(application, handle_errors=True), "/")
    assert (answer.status, body.closed) == (status, True)


def test_a_list_keeps_its_length_for_the_server() -> None:
    application = HealthMiddleware(hello, handle_errors=True)
    request: dict[str, Any] = {"PATH_INFO": "/", "SCRIPT_NAME": ""}
    setup_testing_defaults(request)
    assert application(request, lambda *_: lambda data: None) == [b"hello"]


@pytest.mark.parametrize("wrapper", [FileWrapper, lambda file: file], ids=["type", "function"])
def test_a_file_stays_one_that_the_server_can_send_by_itself(wrapper: Any) -> None:
    file = BytesIO(b"hello")

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped

    request: dict[str, Any] = {"PATH_INFO": "/", "wsgi.file_wrapper": wrapper}
    setup_testing_defaults(request)
    middleware = HealthMiddleware(application, handle_errors=True)
    sent = middleware(request, lambda *_: lambda data: None)
    assert type(sent) is type(wrapper(file))
