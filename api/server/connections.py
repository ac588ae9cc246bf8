"""Connection limits of a process, in total and per client, with eviction of the longest idle one.

A connection *waits* while it has no request in progress: nothing has arrived yet, a head is
arriving, or it is kept alive. At the limit, a new connection replaces the one that has waited
longest; it is refused only if none waits. So idle connections, however many, never block new ones.
No clock and no socket (sans-IO): connections are passed in.
"""

from collections import Counter, OrderedDict
from typing import Literal, Protocol

from api.server.budget import ByteBudget
from api.server.limits import Limits

Reason = Literal[
    "connections", "address", "evicted", "silent", "slow_head", "slow_body", "head", "malformed"
]


class Connection(Protocol):
    """One connection; `counted_as` is its client's address, None if it counts for no client."""

    counted_as: str | None

    def drop(self) -> None:
        """Close immediately; once it is closed, the connection calls `Connections.leave`."""

    def check(self, now_s: float, passed_s: float) -> None:
        """Check the deadlines; `passed_s` is the time since the last check."""


class _Client:
    """The connections of one address."""

    __slots__ = ("n_open", "waiting")

    def __init__(self) -> None:
        self.n_open = 0
        self.waiting: OrderedDict[Connection, None] = OrderedDict()


class Connections:
    """The open connections of a process, under its limits. Use from one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.large_heads = ByteBudget(limits.large_heads_bytes)
        self.n_refused: Counter[Reason] = Counter()
        self._open: dict[Connection, None] = {}
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._clients: dict[str, _Client] = {}
        self._swept_s: float | None = None

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> Reason | None:
        """Accept a new connection, which then waits; return the reason if it is refused.

        In both cases `leave` has to be called once the connection is closed.
        """
        client = self._client(connection)
        if client is not None and client.n_open >= self.limits.connections_per_address:
            if not client.waiting:
                self.n_refused["address"] += 1
                return "address"
            self._evict(next(iter(client.waiting)))
        elif len(self._open) >= self.limits.connections:
            if not self._waiting:
                self.n_refused["connections"] += 1
                return "connections"
            self._evict(next(iter(self._waiting)))
        self._open[connection] = None
        self._client_of(connection, 1)
        self.waits(connection)
        return None

    def leave(self, connection: Connection) -> None:
        """Remove a connection. A second call does nothing."""
        if connection not in self._open:
            return
        self.works(connection)
        del self._open[connection]
        self._client_of(connection, -1)

    def waits(self, connection: Connection) -> None:
        """Mark the connection as waiting: it has no request in progress any more."""
        if connection not in self._open:
            return
        self._waiting[connection] = None
        client = self._client(connection)
        if client is not None:
            client.waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """Mark the connection as working: it has a request in progress."""
        self._waiting.pop(connection, None)
        client = self._client(connection)
        if client is not None:
            client.waiting.pop(connection, None)

    def begin(self, address: str | None) -> bool:
        """Count a request that a proxy forwarded for `address`; False if it has too many."""
        if address is None:
            return True
        client = self._clients.setdefault(address, _Client())
        if client.n_open >= self.limits.connections_per_address:
            return False
        client.n_open += 1
        return True

    def end(self, address: str | None) -> None:
        """Undo the count of a successful `begin`."""
        if address is not None:
            self._count(address, -1)

    def sweep(self, now_s: float) -> None:
        """Check the deadlines of every connection."""
        passed_s = 0.0 if self._swept_s is None else now_s - self._swept_s
        self._swept_s = now_s
        for connection in list(self._open):
            connection.check(now_s, passed_s)

    def rest(self) -> None:
        """Pause sweeping: the next `sweep` measures no time since the last one."""
        self._swept_s = None

    def _evict(self, connection: Connection) -> None:
        self.n_refused["evicted"] += 1
        self.leave(connection)
        connection.drop()

    def _client(self, connection: Connection) -> _Client | None:
        return None if connection.counted_as is None else self._clients.get(connection.counted_as)

    def _client_of(self, connection: Connection, change: int) -> None:
        if connection.counted_as is not None:
            self._count(connection.counted_as, change)

    def _count(self, address: str, change: int) -> None:
        client = self._clients.setdefault(address, _Client())
        client.n_open += change
        if not client.n_open:
            del self._clients[address]
