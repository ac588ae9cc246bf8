"""Responses to HTTP/1.0 without chunked encoding: plain bytes until the connection closes."""

from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_BODILESS = {204, 304}


def send_unframed(cycle: RequestResponseCycle) -> Callable[[Any], Awaitable[None]]:
    """Return an ASGI `send` for `cycle` that uses no chunks if the length is not declared.

    The cycle closes its connection after the response, as it does for every HTTP/1.0 request.
    """
    send = cycle.send
    is_open_ended = False

    async def send_plain(message: Any) -> None:
        nonlocal is_open_ended
        if message["type"] == "http.response.start":
            declared = any(name.lower() == b"content-length" for name, _ in message["headers"])
            is_open_ended = not (
                declared or message["status"] in _BODILESS or cycle.scope["method"] == "HEAD"
            )
            if is_open_ended:
                cycle.chunked_encoding = False  # otherwise uvicorn would use chunked encoding
        elif is_open_ended:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return send_plain
