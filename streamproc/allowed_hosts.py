"""Allow list of private hosts and of ports for sources, as written in the environment.

    cam.local            a name: all its addresses, any port
    cam.local:8080       the same on one port
    10.1.2.3, 10.1.0.0/16:443
    [fd00::1]:8443, [fd00::]/8:8443, fd00::/8

An allowed address is allowed under every name that resolves to it.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final, NamedTuple

from streamproc.contract.setting_error import SettingError

MAX_PORT: Final = 65535
COMMON_PORTS: Final = frozenset({80, 443})
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\](/[0-9]+)?(?::([0-9]+))?", re.ASCII)
_PLAIN: Final = re.compile(r"([^:\[\]]+)(?::([0-9]+))?")
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*")
_NUMERIC: Final = re.compile(r"[0-9./]+")
_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Entry(NamedTuple):
    host: str | Network
    port: int | None


class PrivateHosts:
    """Allow list: host names and networks that are exempt from the public-address rule."""

    def __init__(self, text: str = "") -> None:
        """Parse a comma-separated list. Raises `SettingError`."""
        self._names: set[tuple[str, int | None]] = set()
        self._networks: list[tuple[Network, int | None]] = []
        for place, part in enumerate(text.split(","), 1):
            if part.strip():
                self._add(_entry(part.strip(), place))

    def allows(self, host: str, port: int, addresses: Collection[str]) -> bool:
        """Return whether a source may connect to `host`, which has these addresses, on `port`."""
        if self.names(host, port):
            return True
        return bool(addresses) and all(self._has(address, port) for address in addresses)

    def names(self, host: str, port: int) -> bool:
        """Return whether the list has `host` itself, by name, on `port`."""
        name = _plain_name(host)
        return not self._names.isdisjoint({(name, None), (name, port)})

    def plus(self, host: str, port: int) -> "PrivateHosts":
        """Return a list that allows this host on this port, too."""
        found = PrivateHosts()
        found._names = set(self._names)
        found._networks = list(self._networks)
        try:
            found._networks.append((ipaddress.ip_network(host), port))
        except ValueError:
            found._names.add((_plain_name(host), port))
        return found

    def may_allow(self, port: int) -> bool:
        """Return whether any host at all is allowed on `port`."""
        entries = [*self._names, *self._networks]
        return any(only in {None, port} for _, only in entries)

    def _add(self, entry: _Entry) -> None:
        if isinstance(entry.host, str):
            self._names.add((entry.host, entry.port))
        else:
            self._networks.append((entry.host, entry.port))

    def _has(self, address: str, port: int) -> bool:
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(
            ip.version == network.version and ip in network and only in {None, port}
            for network, only in self._networks
        )


NO_PRIVATE_HOSTS: Final = PrivateHosts()


def read_ports(text: str) -> frozenset[int]:
    """Parse ports and port ranges, separated by commas. Raises `SettingError`."""
    found: set[int] = set()
    for place, part in enumerate(text.split(","), 1):
        if not part.strip():
            continue
        match = _PORTS.fullmatch(part.strip())
        if match is None:
            raise SettingError(f"entry {place} is neither a port nor a range of ports")
        first, last = _port(match[1], place), _port(match[2] or match[1], place)
        if first > last:
            raise SettingError(f"entry {place} is a range that ends before it begins")
        found.update(range(first, last + 1))
    return frozenset(found)


def _entry(text: str, place: int) -> _Entry:
    try:
        ipaddress.IPv6Network(text)
    except ValueError:
        pass
    else:
        return _Entry(ipaddress.IPv6Network(text), None)
    match = _BRACKETED.fullmatch(text)
    if match is not None:
        host: str | Network = _network(match[1] + (match[2] or ""), place)
        if not isinstance(host, ipaddress.IPv6Network):
            raise SettingError(f"entry {place} has no IPv6 address in its brackets")
        return _Entry(host, None if match[3] is None else _port(match[3], place))
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise SettingError(f"entry {place} is no host, host:port or network")
    name = _plain_name(match[1])
    if _NUMERIC.fullmatch(name):
        host = _network(name, place)
    elif _NAME.fullmatch(name):
        host = name
    else:
        raise SettingError(f"entry {place} is not a valid host name")
    return _Entry(host, None if match[2] is None else _port(match[2], place))


def _network(text: str, place: int) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as exc:
        raise SettingError(
            f"entry {place} is no address, or a network with bits beyond its prefix"
        ) from exc


def _port(digits: str, place: int) -> int:
    if len(digits) > len(str(MAX_PORT)) or not 0 < int(digits) <= MAX_PORT:
        raise SettingError(f"entry {place} has no port between 1 and {MAX_PORT}")
    return int(digits)


def _plain_name(host: str) -> str:
    """Normalise a name for comparison: lower case, no trailing root dot, IDNA where needed."""
    name = host.lower().removesuffix(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name
