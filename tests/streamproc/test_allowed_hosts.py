"""The operator's list of private hosts: every form of entry, and nothing but what it says."""

import ipaddress

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from streamproc.allowed_hosts import PrivateHosts, read_ports
from streamproc.contract.setting_error import SettingError

PORTS = st.integers(1, 65535)
V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
NETWORKS_V4 = st.builds(
    lambda ip, n: ipaddress.IPv4Network((ip, n), strict=False), V4, st.integers(0, 32)
)
NETWORKS_V6 = st.builds(
    lambda ip, n: ipaddress.IPv6Network((ip, n), strict=False), V6, st.integers(0, 128)
)
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{1,6}){0,2}", fullmatch=True)


def written(network: ipaddress.IPv4Network | ipaddress.IPv6Network, port: int | None) -> str:
    host = str(network)
    if network.version == 6 and port is not None:
        host = f"[{network.network_address}]/{network.prefixlen}"
    return host if port is None else f"{host}:{port}"


@given(NETWORKS_V4 | NETWORKS_V6, st.none() | PORTS, PORTS, V4 | V6)
def test_a_network_allows_its_addresses_on_its_port_and_no_others(
    network: ipaddress.IPv4Network, port: int | None, asked: int, address: ipaddress.IPv4Address
) -> None:
    hosts = PrivateHosts(f" other.example , {written(network, port)},")
    inside = str(network[network.num_addresses // 2])
    assert hosts.allows(inside, port or asked, [inside])
    assert hosts.allows("any.name", port or asked, [inside])
    assert hosts.allows(inside, asked, [inside]) == (port in {None, asked})
    is_in = address.version == network.version and address in network
    assert hosts.allows("x", port or asked, [inside, str(address)]) == is_in
    assert hosts.may_allow(asked)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(NAMES, st.none() | PORTS, PORTS, NAMES)
def test_a_name_allows_itself_in_any_spelling_and_no_other(
    name: str, port: int | None, asked: int, other: str
) -> None:
    assume(name != other)
    hosts = PrivateHosts(name if port is None else f"{name.upper()}:{port}")
    assert hosts.allows(name.title() + ".", port or asked, ["10.0.0.1"])
    assert hosts.allows(name, asked, []) == (port in {None, asked})
    assert not hosts.allows(other, port or asked, ["10.0.0.1"])


@given(st.text(alphabet="0123456789abcdefxyz.:/[]-_ %é٣,", max_size=24))
def test_whatever_stands_there_is_read_or_refused_by_its_place(text: str) -> None:
    try:
        hosts = PrivateHosts(text)
    except SettingError as exc:
        assert str(exc).startswith("entry ")  # noqa: PT017 - both outcomes are right
        return
    assert not hosts.allows("never.listed", 80, ["203.0.113.77", "not an address"])


@pytest.mark.parametrize(
    "text",
    [
        *("10.0.0.1/8", "10.0.0.256", "300", "1.2.3", "cam.local:0", "cam.local:65536", ":80"),
        *("[fd00::]/129", "[fd00::1]/8:80", "[10.0.0.1]:80", "[cam.local]:80", "[]:80"),
        *("cam.local:", "cam.local:8o", "cam local", "http://cam.local", "-x.local", "a..b"),
        *("cam.local:٣", "10.0.0.0/8/8", "*"),
    ],
)
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="entry 2 "):
        PrivateHosts(f"fine.example,{text}")


@given(st.lists(st.tuples(PORTS, PORTS).map(sorted), max_size=4), PORTS)
def test_ports_and_ranges_are_what_they_say(ranges: list[list[int]], port: int) -> None:
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    assert (port in read_ports(text)) == any(a <= port <= b for a, b in ranges)


@pytest.mark.parametrize("text", ["0", "65536", "9-1", "80;443", "x", "-1", "1-", "٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="entry 1 "):
        read_ports(text)
