"""Health endpoints for any WSGI server: as an application of their own, or before yours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from io import IOBase
from typing import TYPE_CHECKING, Any

from datalayer.web import TEMPORARY_ERRORS, Answer, Endpoints, is_temporary, temporary_failure
from datalayer.web.answer import json_answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["HealthApp", "HealthMiddleware"]

logger = logging.getLogger("datalayer.web")

_READING = ("GET", "HEAD")


class HealthApp:
    """A WSGI application that serves the endpoints and nothing else.

    For a port of its own, or mounted under a prefix. ``token`` and ``timeout_seconds`` are those
    of ``datalayer.web.Endpoints``.
    """

    def __init__(self, *, token: str | None = None, timeout_seconds: float = 2.0) -> None:
        self._endpoints = Endpoints(token=token, timeout_seconds=timeout_seconds)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = _answer_to(self._endpoints, environ, str(environ.get("PATH_INFO", "")))
        if answer is None:
            there_are = ", ".join(self._endpoints.paths)
            answer = json_answer(404, {"error": f"there are {there_are}"})
        return _give(answer, environ, start_response)


class HealthMiddleware:
    """Serves the endpoints below ``prefix`` and hands every other request to ``application``.

    With ``handle_errors``, errors of an operation that had no effect and may succeed a little
    later become ``503 Service Unavailable`` with ``Retry-After``, as long as the application has
    not begun its answer. They are logged as warnings. Errors that a framework turns into an
    answer of its own don't get here.
    """

    def __init__(
        self,
        application: WSGIApplication,
        *,
        prefix: str = "",
        token: str | None = None,
        timeout_seconds: float = 2.0,
        handle_errors: bool = False,
    ) -> None:
        self._application = application
        self._prefix = f"/{prefix.strip('/')}".rstrip("/")
        self._endpoints = Endpoints(token=token, timeout_seconds=timeout_seconds)
        self._handle_errors = handle_errors

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(f"{self._prefix}/"):
            answer = _answer_to(self._endpoints, environ, path.removeprefix(self._prefix))
            if answer is not None:
                return _give(answer, environ, start_response)
        if self._handle_errors:
            return _handled(self._application, environ, start_response)
        return self._application(environ, start_response)


def _answer_to(endpoints: Endpoints, environ: WSGIEnvironment, path: str) -> Answer | None:
    """The answer of ``endpoints`` to a request; ``None`` where the path isn't theirs."""
    if path in endpoints.paths and environ.get("REQUEST_METHOD", "GET") not in _READING:
        return json_answer(
            405, {"error": "only GET and HEAD"}, headers={"Allow": ", ".join(_READING)}
        )
    return endpoints.answer(path, authorization=environ.get("HTTP_AUTHORIZATION"))


def _give(
    answer: Answer, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Send ``answer`` as WSGI (PEP 3333) wants it."""
    start_response(answer.status_line, list(answer.headers.items()))
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]


def _handled(
    application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    reply = _Reply(environ, start_response)
    try:
        chunks = application(environ, reply.announce)
    except TEMPORARY_ERRORS as exc:
        return reply.instead_of(exc)
    wrapper = environ.get("wsgi.file_wrapper")  # uWSGI's is no type, and returns the file itself
    files = (IOBase, wrapper) if isinstance(wrapper, type) else (IOBase,)
    if isinstance(chunks, (list, tuple, *files)):
        # Nothing of ours can fail any more, and the server knows what to do with these.
        reply.begin()
        return chunks
    return _Chunks(chunks, reply)


class _Reply:
    """What the application announces is told to the server only when its first chunk is there:
    until then, it can be replaced. (PEP 3333 lets one replace it later by ``exc_info`` too, but
    gunicorn then sends both headers.)
    """

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self._environ = environ
        self._start_response = start_response
        self._announced: tuple[str, list[tuple[str, str]]] | None = None
        self._write: Callable[[bytes], object] | None = None

    def announce(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """The ``start_response`` of the application."""
        if self.begun or (self._announced is not None and exc_info is None):
            # Too late, or once too often: the server knows what to raise.
            self.begin()
            return self._start_response(status, headers, exc_info)
        self._announced = status, headers
        return self._write_at_once

    @property
    def begun(self) -> bool:
        """Whether the server was told of an answer: it can't be replaced any more."""
        return self._write is not None

    def begin(self) -> None:
        """Tell the server what was announced. It complains itself where nothing was."""
        if not self.begun and self._announced is not None:
            self._write = self._start_response(*self._announced)

    def instead_of(self, error: Exception) -> Iterable[bytes]:
        """The answer to a temporary error; raises ``error`` where it is none, or it's too late."""
        if self.begun or not is_temporary(error):
            raise error
        logger.warning(
            "answering 503: %s",
            getattr(error, "message", error),
            extra={"event": "temporary_failure", "alias": getattr(error, "alias", None)},
        )
        self._announced = None
        chunks = _give(temporary_failure(), self._environ, self.announce)
        self.begin()
        return chunks

    def _write_at_once(self, data: bytes, /) -> object:
        self.begin()
        assert self._write is not None  # noqa: S101 - for the type checker: it was announced
        return self._write(data)


class _Chunks:
    """The application's chunks, or, where the first can't be had, another answer's."""

    def __init__(self, chunks: Iterable[bytes], reply: _Reply) -> None:
        self._chunks = chunks
        self._reply = reply
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._chunks)
            chunk = next(self._iterator)
            while not (chunk or self._reply.begun):  # empty: nothing is sent yet
                chunk = next(self._iterator)
        except StopIteration:
            self._reply.begin()
            raise
        except TEMPORARY_ERRORS as exc:
            self._iterator = iter(self._reply.instead_of(exc))
            return next(self._iterator)
        self._reply.begin()
        return chunk

    def close(self) -> None:
        """Close the application's chunks, as the server wants it, in every case."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
