"""Asynchronous (asyncio) client of the api."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple, Self, TypeVar

import httpx

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
from console.client.log_stream import EventSplitter, Following, Piece, first_kept, start_offset
from console.errors import ConsoleError
from streamproc.contract.framing import Event

T = TypeVar("T")


class FramePicture(NamedTuple):
    """A frame as JPEG. `width_px`, `height_px`: the source frame's size, which may be larger."""

    jpeg: bytes
    width_px: int
    height_px: int


class LatestPicture(NamedTuple):
    """The last picture of a live source: which frame it is, and its ETag."""

    picture: FramePicture
    frame: int
    captured: datetime
    etag: str


class AsyncClient:
    """Client of one api with one key; an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            headers=auth_headers(key), timeout=TIMEOUT, trust_env=False, verify=tls_context()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send the call and return its answer; raises `ApiProblem` or `UnreachableError`."""
        try:
            response = await self._http.request(
                call.method,
                self.url + call.target,
                json=call.body,
                headers=call_headers(call),
            )
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise translate(exc, self.url) from exc
        return read_answer(call, response.status_code, response.content)

    async def follow(
        self,
        following: Following,
        *,
        on_cut: Callable[[float], None] = lambda _pause_s: None,
    ) -> AsyncIterator[Piece]:
        """Yield the log from `following.offset` to its end; reconnect and resume after cuts.

        `on_cut` receives the pause in seconds before each new attempt. Raises `ApiProblem`,
        `UnreachableError`, `LogMismatchError`.
        """
        while not following.finished:
            reason = "the connection was closed"
            try:
                async for piece in self._connection(following):
                    yield piece
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                if isinstance(exc, httpx.ReadTimeout) and following.is_open:
                    following.idle()
                    continue
                reason = str(translate(exc, self.url))
            if not following.finished and not following.take_move():
                pause_s = following.cut(time.monotonic(), reason)
                on_cut(pause_s)
                await asyncio.sleep(pause_s)

    async def read_frame(self, task_id: str, index: int, width_px: int) -> FramePicture:
        """Return a frame at most `width_px` wide.

        Raises `ApiProblem`, `UnreachableError`, or `ConsoleError` for an answer without a size.
        """
        call = calls.frame(task_id, index, width_px=width_px)
        return _picture(call, await self._answer(call))

    async def read_latest(self, task_id: str, known: str | None) -> LatestPicture | None:
        """Return the last picture of a live source, None if it is the `known` one still.

        Raises as `read_frame`; 404 `frame_not_kept` if there is none.
        """
        call = calls.latest_frame(task_id, known=known)
        response = await self._answer(call)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        picture, headers = _picture(call, response), response.headers
        try:
            frame = int(headers["frame-index"])
            captured = datetime.fromisoformat(headers["frame-captured-at"])
        except (KeyError, ValueError) as exc:
            raise ConsoleError(f"{call.path} answered without the frame's time") from exc
        return LatestPicture(picture, frame, captured, headers.get("etag", ""))

    async def _answer(self, call: Call[bytes]) -> httpx.Response:
        try:
            return await self._http.request(
                call.method, self.url + call.target, headers=call_headers(call)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise translate(exc, self.url) from exc

    async def read_log(
        self, task_id: str, start: int | str, at_most_bytes: int
    ) -> tuple[Event, ...]:
        """Return the complete events in about `at_most_bytes` of the log from `start` on.

        `start` is a byte, or a time as in `calls.stream`. An event that began before it is left
        out. If its bytes have expired, the first ones that are kept are read. An empty result means
        that nothing follows. Raises `ApiProblem` (416 beyond the end), `UnreachableError`,
        `LogMismatchError`.
        """
        call = calls.stream(task_id, start, live=False)
        events: list[Event] = []
        n_bytes = 0
        try:
            async with self._http.stream(
                call.method, self.url + call.target, headers=call_headers(call)
            ) as response:
                if response.status_code == 204:
                    return ()
                first = first_kept(response.status_code, response.headers)
                if first is not None and first != start:
                    return await self.read_log(task_id, first, at_most_bytes)
                if response.status_code >= 300:
                    raise read_problem(response.status_code, await response.aread())
                offset = start if isinstance(start, int) else start_offset(response.headers)
                splitter = EventSplitter(offset or 0)
                async for data in response.aiter_raw():
                    events += splitter.feed(data)
                    n_bytes += len(data)
                    if n_bytes >= at_most_bytes and events:
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise translate(exc, self.url) from exc
        return tuple(events)

    async def _connection(self, following: Following) -> AsyncIterator[Piece]:
        call = following.call()
        async with self._http.stream(
            call.method,
            self.url + call.target,
            headers=call_headers(call),
            timeout=STREAM_TIMEOUT,
        ) as response:
            if following.expired(response.status_code, response.headers):
                return
            if following.is_refusal(response.status_code):
                raise read_problem(response.status_code, await response.aread())
            if following.opened(response.status_code, response.headers):
                async for data in response.aiter_raw():
                    yield following.feed(data)


def _picture(call: Call[bytes], response: httpx.Response) -> FramePicture:
    jpeg = read_answer(call, response.status_code, response.content)
    try:
        size = (int(response.headers["frame-width"]), int(response.headers["frame-height"]))
    except (KeyError, ValueError) as exc:
        raise ConsoleError(f"{call.path} answered without the frame's size") from exc
    return FramePicture(jpeg, *size)
