"""Limits of the HTTP server: per connection, per client address and in total."""

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
    """The settings that determine the limits; 0 connections means a computed default."""

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
    """The limits of one server. Those that the operator cannot set have their values here."""

    connections: int
    """Maximum open connections of the process."""
    connections_per_address: int
    """Maximum open connections of one client address; behind a trusted proxy, open requests."""
    trusted_proxies: tuple[Network, ...] = ()
    """Peers whose `X-Forwarded-For` names the client."""

    head_s: float = 10.0
    """Time limit for a new connection to send nothing, and for a head to arrive."""
    head_bytes: int = 64 * KIB
    """Maximum size of request line and headers together."""
    url_bytes: int = 16 * KIB
    """Maximum length of the request target; the longest ones hold a few cursors."""
    head_fields: int = 128
    """Maximum number of header fields of a request."""
    small_head_bytes: int = 8 * KIB
    """A head up to this size is always accepted."""
    large_heads_bytes: int = 16 * MIB
    """Budget of all heads together for their bytes above `small_head_bytes`."""

    body_bytes_per_s: int = 16 * KIB
    """Minimum average rate of a request body; 0 is no limit."""
    body_grace_s: float = 20.0
    """How much later a body may arrive than at that rate."""
    framing_bytes: int = 16 * KIB
    """Extra bytes for chunk sizes, extensions and trailers, beyond what the chunks need."""

    linger_s: float = 3.0
    """How long the rest of an answered request is read and discarded (lingering close)."""

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        """Return the limits from the settings and the process's file descriptor limit."""
        most = settings.max_connections or connections_for(raised_descriptor_limit())
        return cls(
            connections=most,
            connections_per_address=settings.max_connections_per_address or max(1, most // 2),
            trusted_proxies=tuple(ip_network(text) for text in settings.trusted_proxies),
            head_s=settings.head_timeout_s,
            body_bytes_per_s=settings.min_body_rate,
        )


def connections_for(n_descriptors: int) -> int:
    """Return how many connections to allow, with descriptors left for clients and files.

    The clients are those of Kafka, S3 and ClickHouse.
    """
    reserve = min(max(n_descriptors // RESERVE_FRACTION, RESERVE_AT_LEAST), RESERVE_AT_MOST)
    return max(1, min(n_descriptors - reserve, MOST_CONNECTIONS))


def raised_descriptor_limit() -> int:
    """Raise the soft limit of file descriptors as far as needed; return the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + RESERVE_AT_MOST
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
