"""How much one connection, one address and all of them together may take."""

import resource
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Protocol, Self

import msgspec

KIB = 1024
MIB = 1024 * KIB
MOST_CONNECTIONS = 16_384
RESERVE_FRACTION = 4
RESERVE_AT_LEAST = 64
RESERVE_AT_MOST = 1024

Network = IPv4Network | IPv6Network


class ServerSettings(Protocol):
    """What the limits need of the process's settings; 0 leaves a number of connections to us."""

    @property
    def head_timeout_s(self) -> float: ...
    @property
    def min_body_rate(self) -> int: ...
    @property
    def max_connections(self) -> int: ...
    @property
    def max_connections_per_address(self) -> int: ...
    @property
    def trusted_proxies(self) -> Sequence[str]: ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one server; what the operator cannot set has its value here."""

    connections: int
    """Open connections of the process."""
    connections_per_address: int
    """Open connections of one client address; requests, where a trusted proxy passes them on."""
    trusted_proxies: tuple[Network, ...] = ()
    """Peers whose `X-Forwarded-For` names the client."""

    head_s: float = 10.0
    """How long a connection may be silent at first, and how long a head may take to arrive."""
    head_bytes: int = 64 * KIB
    """Request line and headers together."""
    url_bytes: int = 16 * KIB
    """The request's target; nothing of ours needs more than a few cursors."""
    head_fields: int = 128
    """Header fields of a request."""
    small_head_bytes: int = 8 * KIB
    """A head up to this size is always taken."""
    large_heads_bytes: int = 16 * MIB
    """All heads above that size together."""

    body_bytes_per_s: int = 16 * KIB
    """The slowest that a body may arrive, on average; 0 is no limit."""
    body_grace_s: float = 20.0
    """How much later than that rate asks for a body may be."""
    framing_bytes: int = 16 * KIB
    """Chunk sizes, extensions and trailers of a body, beyond what its chunks themselves need."""

    linger_s: float = 3.0
    """How long what is left of an answered request is thrown away, so that the answer arrives."""

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        """Return the limits under the process's settings and its limit of descriptors."""
        most = settings.max_connections or connections_for(raised_descriptor_limit())
        return cls(
            connections=most,
            connections_per_address=settings.max_connections_per_address or max(1, most // 2),
            trusted_proxies=tuple(ip_network(text) for text in settings.trusted_proxies),
            head_s=settings.head_timeout_s,
            body_bytes_per_s=settings.min_body_rate,
        )


def connections_for(n_descriptors: int) -> int:
    """Return how many connections leave descriptors for Kafka, S3, ClickHouse and files."""
    reserve = min(max(n_descriptors // RESERVE_FRACTION, RESERVE_AT_LEAST), RESERVE_AT_MOST)
    return max(1, min(n_descriptors - reserve, MOST_CONNECTIONS))


def raised_descriptor_limit() -> int:
    """Raise the process's soft limit as far as connections need it; return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + RESERVE_AT_MOST
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
