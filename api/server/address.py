"""The client address of a connection or a request, with trusted proxies (X-Forwarded-For)."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from api.server.limits import Network

_IPV6_CLIENT_BITS = 64  # one subscriber has a whole /64, so single addresses cannot be limited
_FORWARDED = b"x-forwarded-for"
Address = IPv4Address | IPv6Address


def peer_address(client: tuple[str, int] | None) -> Address | None:
    """Return the peer's address, None for a Unix socket."""
    return None if client is None else _parsed(client[0])


def is_trusted(address: Address | None, proxies: Sequence[Network]) -> bool:
    return address is not None and any(
        address.version == network.version and address in network for network in proxies
    )


def forwarded_address(
    headers: Iterable[tuple[bytes, bytes]], proxies: Sequence[Network]
) -> Address | None:
    """Return the client address in X-Forwarded-For: the last one that is not a trusted proxy.

    Addresses further left may be forged by the client. None if there is no such address.
    """
    forwarded = b",".join(value for name, value in headers if name == _FORWARDED)
    for text in reversed(forwarded.decode("latin-1").split(",")):
        address = _parsed(text.strip())
        if address is None:
            return None
        if not is_trusted(address, proxies):
            return address
    return None


def counted(address: Address | None) -> str | None:
    """Return the key under which the address is counted: an IPv4 address or an IPv6 /64."""
    if address is None:
        return None
    if isinstance(address, IPv6Address):
        prefix = int(address) >> (128 - _IPV6_CLIENT_BITS) << (128 - _IPV6_CLIENT_BITS)
        return f"{IPv6Address(prefix)}/{_IPV6_CLIENT_BITS}"
    return str(address)


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
