"""Blocking (synchronous) client of the api, for commands."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Self, TypeVar

import httpx

from api.contract.tasks import TaskPage
from api.contract.tracks import TrackPage
from console.client import calls
from console.client.calls import Call
from console.client.http import (
    STREAM_TIMEOUT,
    TIMEOUT,
    auth_headers,
    call_headers,
    read_answer,
    read_problem,
    tls_context,
    translate,
)
from console.client.log_stream import Following, Piece
from console.client.slow_answers import SLOW_S, noticing

T = TypeVar("T")
P = TypeVar("P", TaskPage, TrackPage)


class Client:
    """Client of one api with one key; a context manager.

    `on_slow` is called, in another thread, for each answer that has not begun after `slow_s`.
    `answer_s` bounds the wait for an answer, instead of what is usual.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        on_slow: Callable[[], None] | None = None,
        slow_s: float = SLOW_S,
        answer_s: float | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._on_slow = on_slow
        self._slow_s = slow_s
        self._http = httpx.Client(
            headers=auth_headers(key),
            timeout=TIMEOUT if answer_s is None else answer_s,
            trust_env=False,
            verify=tls_context(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send the call and return its answer; raises `ApiProblem` or `UnreachableError`."""
        try:
            with noticing(self._on_slow, self._slow_s):
                response = self._http.request(
                    call.method,
                    self.url + call.target,
                    json=call.body,
                    headers=call_headers(call),
                )
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise translate(exc, self.url) from exc
        return read_answer(call, response.status_code, response.content)

    def pages(self, call: Call[P]) -> Iterator[P]:
        """Yield the call's page and all that follow; raises as `send`."""
        while True:
            page = self.send(call)
            yield page
            if page.next_cursor is None:
                return
            call = calls.after_cursor(call, page.next_cursor)

    def follow(
        self,
        following: Following,
        *,
        on_cut: Callable[[float], None] = lambda _pause_s: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[Piece]:
        """Yield the log from `following.offset` to its end; reconnect and resume after cuts.

        `on_cut` receives the pause in seconds before each new attempt. Raises `ApiProblem`,
        `UnreachableError`, `LogMismatchError`.
        """
        while not following.finished:
            reason = "the connection was closed"
            try:
                yield from self._connection(following)
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                if isinstance(exc, httpx.ReadTimeout) and following.is_open:
                    following.idle()
                    continue
                reason = str(translate(exc, self.url))
            if not following.finished and not following.take_move():
                pause_s = following.cut(time.monotonic(), reason)
                on_cut(pause_s)
                sleep(pause_s)

    def _connection(self, following: Following) -> Iterator[Piece]:
        call = following.call()
        with ExitStack() as stack:
            with noticing(self._on_slow, self._slow_s):
                response = stack.enter_context(
                    self._http.stream(
                        call.method,
                        self.url + call.target,
                        headers=call_headers(call),
                        timeout=STREAM_TIMEOUT,
                    )
                )
            if following.expired(response.status_code, response.headers):
                return
            if following.is_refusal(response.status_code):
                raise read_problem(response.status_code, response.read())
            if following.opened(response.status_code, response.headers):
                for data in response.iter_raw():
                    yield following.feed(data)
