from random import Random

import pytest

from console.client.async_client import AsyncClient
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.errors import ApiProblem, LogMismatchError, UnreachableError
from streamproc.contract.framing import parse_events
from tests.console.client.logs import CuttingServer, make_log

LOG = make_log()


def no_pause(_seconds: float) -> None:
    """Go on at once."""


@pytest.mark.parametrize("seed", range(8))
def test_a_log_cut_at_random_bytes_comes_whole(seed: int) -> None:
    random = Random(seed)
    with (
        CuttingServer(LOG, lambda _k: random.randint(0, 900)) as server,
        Client(server.url, "key") as client,
    ):
        following = Following("vt_x", jitter=Random(0))
        pieces = list(client.follow(following, sleep=no_pause))
    assert b"".join(piece.data for piece in pieces) == LOG
    assert [event for piece in pieces for event in piece.events] == list(parse_events(LOG))
    assert len(server.offsets) > 5
    assert following.finished


@pytest.mark.parametrize("offset", [1, 17, len(LOG) // 2, len(LOG) - 1, len(LOG)])
def test_any_byte_offset_gives_the_rest(offset: int) -> None:
    with (
        CuttingServer(LOG, lambda k: 1 if k == 0 else None) as server,
        Client(server.url, "key") as client,
    ):
        pieces = list(client.follow(Following("vt_x", offset), sleep=no_pause))
    assert b"".join(piece.data for piece in pieces) == LOG[offset:]
    whole = [event for event in parse_events(LOG) if event.start >= offset]
    assert [event for piece in pieces for event in piece.events] == whole


async def test_the_async_client_reads_the_same_bytes() -> None:
    random = Random(3)
    cuts: list[float] = []
    with CuttingServer(LOG, lambda k: random.randint(0, 2000) if k < 4 else None) as server:
        async with AsyncClient(server.url, "key") as client:
            following = Following("vt_x", jitter=Random(0))
            data = [piece.data async for piece in client.follow(following, on_cut=cuts.append)]
    assert b"".join(data) == LOG
    assert len(cuts) == 4


def test_a_passing_refusal_is_waited_out() -> None:
    with (
        CuttingServer(LOG, lambda _k: None) as server,
        Client(server.url, "key") as client,
    ):
        server.statuses = {0: 503, 1: 502}
        data = b"".join(p.data for p in client.follow(Following("vt_x"), sleep=no_pause))
    assert data == LOG
    assert server.offsets == [0, 0, 0]


def test_a_refusal_is_raised_at_once() -> None:
    with (
        CuttingServer(LOG, lambda _k: None) as server,
        Client(server.url, "key") as client,
    ):
        server.statuses = {0: 404}
        with pytest.raises(ApiProblem) as raised:
            list(client.follow(Following("vt_x"), sleep=no_pause))
    assert raised.value.status == 404
    assert server.offsets == [0]


def test_bytes_from_elsewhere_are_never_shown() -> None:
    with (
        CuttingServer(LOG, lambda _k: None) as server,
        Client(server.url, "key") as client,
    ):
        server.shift = 5
        with pytest.raises(LogMismatchError):
            list(client.follow(Following("vt_x"), sleep=no_pause))


def test_an_api_that_is_not_there_is_told_at_once() -> None:
    with CuttingServer(LOG, lambda _k: None) as server:
        url = server.url
    with Client(url, "key") as client, pytest.raises(UnreachableError):
        list(client.follow(Following("vt_x"), sleep=no_pause))


def test_a_log_whose_beginning_has_expired_is_read_from_its_first_kept_byte() -> None:
    first = LOG.index(b"\n\n", 5000) + 2
    told: list[int] = []
    with (
        CuttingServer(LOG, lambda k: 900 if k == 1 else None) as server,
        Client(server.url, "key") as client,
    ):
        server.first = first
        following = Following("vt_x", on_expired=told.append)
        cuts: list[float] = []
        pieces = list(client.follow(following, on_cut=cuts.append, sleep=no_pause))
    assert b"".join(piece.data for piece in pieces) == LOG[first:]
    assert [event for piece in pieces for event in piece.events] == [
        event for event in parse_events(LOG) if event.start >= first
    ]
    assert (told, len(cuts)) == ([first], 1)  # no pause before the second request
    assert server.offsets == [0, first, first + 900]


async def test_the_async_client_goes_on_behind_what_expired_while_it_was_away() -> None:
    told: list[int] = []
    with CuttingServer(LOG, lambda k: 900 if k == 0 else None) as server:
        async with AsyncClient(server.url, "key") as client:
            following = Following("vt_x", on_expired=told.append, jitter=Random(0))
            got = b""
            async for piece in client.follow(following):
                got += piece.data
                server.first = 4000
    assert got == LOG[:900] + LOG[4000:]
    assert told == [4000]


def test_a_reader_that_names_a_byte_is_told_that_it_has_expired() -> None:
    with (
        CuttingServer(LOG, lambda _k: None) as server,
        Client(server.url, "key") as client,
    ):
        server.first = 4000
        with pytest.raises(ApiProblem) as refused:
            list(client.follow(Following("vt_x", 17), sleep=no_pause))
    assert refused.value.status == 410


@pytest.mark.parametrize("start", ["end", "2026-01-31T12:00:00Z"])
def test_a_log_is_read_from_its_end_or_a_time_and_resumed_by_bytes(start: str) -> None:
    with (
        CuttingServer(LOG, lambda k: 700 if k == 0 else None) as server,
        Client(server.url, "key") as client,
    ):
        pieces = list(client.follow(Following("vt_x", start), sleep=no_pause))
    begin = server.offsets[0]
    assert b"".join(piece.data for piece in pieces) == LOG[begin:]
    if start == "end":
        assert server.offsets == [len(LOG)]
    else:
        assert server.offsets == [begin, begin + 700]
