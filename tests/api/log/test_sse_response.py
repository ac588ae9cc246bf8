"""A response through a long silence, without the ten minutes that it lasts."""

import asyncio
from typing import Any, cast

from api.log.cursor import LogCursor
from api.log.negotiation import Body
from api.log.send_timeout import SendDeadlines
from api.log.sse_response import LogResponse
from console.client.log_stream import HeartbeatFilter

N_SILENCES = 600
LINE_SCANNER_BYTES = 64 * 1024
"""What clients in Go take in between two blank lines."""


class SilentCursor:
    """A log of two events with minutes of nothing between them."""

    def __init__(self) -> None:
        self.pieces: list[bytes | None] = [
            b"data: 1\nid: 17\n\n",
            b"",
            b"data: 2\nid: 34\n\n",
            None,
        ]
        self.n_silences = 0
        self.offset = 0

    async def read(self, end: int | None = None) -> bytes | None:
        if self.pieces[0] == b"" and self.n_silences < N_SILENCES:
            return b""
        if self.pieces[0] == b"":
            del self.pieces[0]
        return self.pieces.pop(0)

    async def wait(self, timeout_s: float | None = None) -> bool:
        assert timeout_s == 1.0
        self.n_silences += 1
        return False


async def test_ten_minutes_of_silence_cost_a_reader_no_bound_and_no_byte() -> None:
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(bytes(message["body"]))

    async def receive() -> Any:
        await asyncio.Event().wait()

    cursor = cast("LogCursor", SilentCursor())
    response = LogResponse(cursor, Body(200, 0, None, {}), SendDeadlines(30.0), heartbeat_s=1.0)
    await response(cast("Any", {"type": "http", "http_version": "1.1"}), receive, send)
    answer = b"".join(sent)
    assert answer.count(b":\n\n") == N_SILENCES
    assert max(len(block) for block in answer.split(b"\n\n")) < 20 < LINE_SCANNER_BYTES
    assert HeartbeatFilter().feed(answer) == b"data: 1\nid: 17\n\ndata: 2\nid: 34\n\n"
