"""Send timeout for clients that do not read: one sweep per process, no timer per send."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Protocol

from api.log.fanout import WriteTransport
from api.server.log_protocol import EXTENSION


class Transport(WriteTransport, Protocol):
    """A connection's transport: written to directly, bypassing the server, and checked here."""

    def abort(self) -> None: ...


class SendWatch:
    """One response that is being sent. Set `sending_since_s` around every send (loop clock).

    `dead`: the key that opened the stream is not valid any more.
    """

    __slots__ = ("dead", "expired", "outlet", "scope", "sending_since_s", "waiting_bytes")

    def __init__(self, scope: asyncio.Timeout, outlet: Transport | None) -> None:
        self.scope = scope
        self.outlet = outlet
        self.sending_since_s: float | None = None
        self.waiting_bytes = -1
        self.expired = False
        self.dead = False

    def check(self, now_s: float, deadline_s: float) -> bool:
        """Return whether the client has received nothing for `deadline_s`.

        With a transport, every change of its write buffer counts as progress; without one, each
        send as a whole has to end in time.
        """
        if self.sending_since_s is None:
            self.waiting_bytes = -1
            return False
        if self.outlet is not None:
            waiting_bytes = self.outlet.get_write_buffer_size()
            if waiting_bytes != self.waiting_bytes:
                self.waiting_bytes = waiting_bytes
                self.sending_since_s = now_s
                return False
        return now_s - self.sending_since_s >= deadline_s


class SendDeadlines:
    """Ends the responses whose clients receive nothing for `deadline_s`."""

    def __init__(self, deadline_s: float) -> None:
        self.n_expired = 0
        self._deadline_s = deadline_s
        self._leases: set[SendWatch] = set()
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    def add(self, lease: SendWatch) -> None:
        self._leases.add(lease)

    def remove(self, lease: SendWatch) -> None:
        self._leases.discard(lease)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self._deadline_s / 4))
            now_s = loop.time()
            for lease in list(self._leases):
                if not lease.expired and lease.check(now_s, self._deadline_s):
                    lease.expired = True
                    self.n_expired += 1
                    lease.scope.reschedule(now_s)


def transport_of(scope: Mapping[str, Any]) -> Transport | None:
    """Return the request's transport, None if the ASGI server does not provide it."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    outlet: Transport | None = extension["transport"] if extension else None
    return outlet
