"""Which connections are taken, and which one makes room: without a socket."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.server.address import counted, forwarded_address, peer_address
from api.server.budget import ByteBudget
from api.server.connections import Connections
from api.server.limits import MOST_CONNECTIONS, Limits, connections_for

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


class Line:
    """A connection that a test looks at."""

    def __init__(self, counted_as: str | None) -> None:
        self.counted_as = counted_as
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True

    def check(self, now_s: float, passed_s: float) -> None:
        raise NotImplementedError


STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "works", "waits", "close"]), st.integers(0, 30)),
    max_size=60,
)


@settings(deadline=None)
@given(steps=STEPS, addresses=st.lists(st.sampled_from(["a", "b", None]), min_size=31, max_size=31))
def test_no_order_of_events_passes_a_limit_or_drops_a_request(
    steps: list[tuple[str, int]], addresses: list[str | None]
) -> None:
    connections = Connections(Limits(connections=5, connections_per_address=3))
    lines = [Line(address) for address in addresses]
    is_open: set[int] = set()
    working: set[int] = set()
    for step, i in steps:
        before = set(is_open)
        if step == "open" and i not in before:
            if connections.admit(lines[i]) is None:
                is_open.add(i)
            else:
                room = [j for j in before if j not in working]
                assert not [j for j in room if lines[j].counted_as == lines[i].counted_as] or (
                    lines[i].counted_as is None
                )
            dropped = {j for j in before if lines[j].dropped}
            assert not dropped & working
            is_open -= dropped
        elif i in is_open and step == "close":
            connections.leave(lines[i])
            is_open.discard(i)
            working.discard(i)
        elif i in is_open and step == "works":
            connections.works(lines[i])
            working.add(i)
        elif i in is_open and step == "waits":
            connections.waits(lines[i])
            working.discard(i)
        assert len(connections) == len(is_open) <= 5
        for address in ("a", "b"):
            assert sum(lines[j].counted_as == address for j in is_open) <= 3
        for line in lines:
            line.dropped = False


@pytest.mark.parametrize(
    ("n_descriptors", "most"),
    [(256, 192), (1024, 768), (20_000, MOST_CONNECTIONS), (4096, 3072), (10, 1)],
)
def test_connections_leave_descriptors_for_the_rest(n_descriptors: int, most: int) -> None:
    assert connections_for(n_descriptors) == most


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ([], None),
        (["1.2.3.4"], "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4, 10.0.0.1"], "1.2.3.4"),
        (["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        (["2001:db8::7, fd00::1"], "2001:db8::7"),
        (["::ffff:1.2.3.4"], "1.2.3.4"),
        (["10.0.0.1, 10.0.0.2"], None),
        (["1.2.3.4, unknown"], None),
        (["1.2.3.4:8080"], None),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(
    told: list[str], client: str | None
) -> None:
    headers = [(b"x-forwarded-for", text.encode()) for text in told]
    found = forwarded_address(headers, PROXIES)
    assert (found and str(found)) == client


def test_an_ipv6_client_is_its_network() -> None:
    one, two, other = (
        counted(ip_address(a)) for a in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")
    )
    assert one == two != other
    assert counted(peer_address(("::ffff:7.7.7.7", 1))) == "7.7.7.7"
    assert counted(peer_address(None)) is None


def test_an_owner_has_a_share_and_small_requests_have_the_rest() -> None:
    budget = ByteBudget(800, 300)
    budget.take(300, "one")
    assert not budget.fits_share("one", 1)
    assert budget.fits_share("two", 300)
    budget.take(300, "two")
    budget.take(100, "three")
    assert not budget.fits(1, large=True)
    assert budget.fits(100)
    assert not budget.fits(101)
    budget.give(300, "one")
    assert budget.fits_share("one", 300)
    assert budget.fits(300, large=True)
