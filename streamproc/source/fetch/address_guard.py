"""SSRF guard: a fetch may connect to public unicast addresses only, by an explicit deny list.

`ipaddress.is_global` is not enough: in Python 3.11 it reports NAT64-mapped link-local, 6to4
loopback and `fec0::/10` as global. IPv6 is allowed from 2000::/3 only, which excludes all mapped,
NAT64, unique local, link-local, site-local and multicast addresses.
"""

import contextlib
import ipaddress
import socket
import threading
import time
from typing import Final

from streamproc.source.errors import (
    SourceForbiddenError,
    SourceTimeoutError,
    SourceUnreachableError,
    SourceUnresolvedError,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy

_REFUSAL_S: Final = 0.25

_DENIED_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; contains Alibaba's metadata address
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",  # link-local; the usual metadata address
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_ALLOWED_V6: Final = ipaddress.IPv6Network("2000::/3")
_DENIED_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, including Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps any IPv4 address
        "3fff::/20",
    )
)


def is_public(address: str) -> bool:
    """Return whether an address (as `getaddrinfo` writes it) is allowed as public."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not any(ip in network for network in _DENIED_V4)
    return ip in _ALLOWED_V6 and ip.is_global and not any(ip in network for network in _DENIED_V6)


def checked_addresses(
    host: str, port: int, policy: FetchPolicy, *, timeout_s: float, interrupt: Interrupt
) -> list[str]:
    """Resolve a host; all of its addresses and the port must be public or exempt.

    A name with an internal address and a name that does not exist give the same error, not sooner
    than a fixed time after the start: so a client cannot probe names of the internal network.
    Raises `SourceForbiddenError` (`SourceUnresolvedError` for a name without an address),
    `SourceTimeoutError`, or the interrupt's cause; for a name that is exempt by itself, and has no
    address now, `SourceUnreachableError`.
    """
    exempt = policy.allowed_private_hosts
    is_common_port = port in policy.allowed_ports
    if not is_common_port and not exempt.may_allow(port):
        raise SourceForbiddenError(f"port {port} is not allowed")
    started_s = time.monotonic()
    addresses = _resolve(host, port, timeout_s, interrupt)
    if addresses and exempt.allows(host, port, addresses):
        return addresses
    if not addresses and exempt.names(host, port):
        raise SourceUnreachableError(f"{host} has no address now")
    kind = SourceForbiddenError if addresses else SourceUnresolvedError
    if not is_common_port:
        raise kind(f"port {port} is not allowed")
    if not addresses or not all(is_public(address) for address in addresses):
        interrupt.wait(started_s + _REFUSAL_S - time.monotonic())
        raise kind(f"{host} has no address that may be fetched from")
    return addresses


def _resolve(host: str, port: int, timeout_s: float, interrupt: Interrupt) -> list[str]:
    """Resolve in a thread: `getaddrinfo` has no timeout. An empty list means no such name."""
    answers: list[str] = []
    over = threading.Event()

    def ask() -> None:
        # For an unknown name some resolvers report it as unknown, others a failure: the same here.
        with contextlib.suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.extend(dict.fromkeys(str(answer[4][0]) for answer in found))
        over.set()

    threading.Thread(target=ask, name="source-resolve", daemon=True).start()
    with interrupt.wakes(over.set):
        is_over = over.wait(timeout_s)
    interrupt.raise_if_set()
    if not is_over:
        raise SourceTimeoutError(f"{host} was not resolved within {timeout_s:g} s")
    return answers
