"""The proxy does to answers what its plan says, and nothing else to their bytes."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest

from tests.clients.faults import FAULTS, N_CUTS, Cut, Ending, Fault, Plan, Treatment, plan_of, sizes
from tests.clients.proxy import FaultyProxy

LOG = b"".join(b"id: %d\ndata: %b\n\n" % (n, b"x" * n) for n in range(1, 30))
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(LOG), LOG)


def chunked(parts: Iterable[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


CHUNKED = chunked([LOG[:100], LOG[100:]])


class Upstream:
    """An api that gives the same answer to every request, and notes the requests."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def serve(self) -> asyncio.Server:
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self.server

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    found = Upstream(SIZED)
    async with await found.serve():
        yield found


class Client:
    """Asks over one connection; `got` is every byte that came, `reset` how it ended."""

    def __init__(self) -> None:
        self.got = b""
        self.reset = False

    async def ask(self, port: int, n_requests: int = 1) -> list[bytes]:
        """Return the bodies of the answers; the last one may be cut."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = b"GET /log HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 5\r\n\r\n"
        writer.write(request * n_requests)
        try:
            while data := await asyncio.wait_for(reader.read(65536), 10):
                self.got += data
                if self.got.count(b"HTTP/1.1") == n_requests and self._is_whole():
                    break
        except ConnectionResetError:
            self.reset = True
        writer.close()
        return [body for _, body in self._answers()]

    def chunks(self) -> list[int]:
        """Return the sizes of the chunks of the only answer."""
        (answer,) = self._answers()
        return [len(part) for part in _unchunked(answer[1])]

    def _answers(self) -> list[tuple[bytes, bytes]]:
        parts = self.got.split(b"HTTP/1.1 ")[1:]
        return [(head, body) for head, _, body in (part.partition(b"\r\n\r\n") for part in parts)]

    def _is_whole(self) -> bool:
        head, body = self._answers()[-1]
        if b"chunked" in head.lower():
            return body.endswith(b"0\r\n\r\n")
        return len(body) >= int(head.lower().partition(b"content-length: ")[2].split()[0])


def _unchunked(body: bytes) -> Iterator[bytes]:
    while body and not body.startswith(b"0\r\n"):
        size, _, rest = body.partition(b"\r\n")
        yield rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
async def test_without_a_fault_the_body_passes(upstream: Upstream, answer: bytes) -> None:
    upstream.answer = answer
    client = Client()
    async with FaultyProxy(upstream.port, Plan()) as proxy:
        (body,) = await client.ask(proxy.port)
    assert body == LOG if answer is SIZED else b"".join(_unchunked(body)) == LOG
    assert b"Last-Event-ID: 5".lower() in upstream.requests[0].lower()
    (exchange,) = proxy.exchanges
    assert (exchange.last_event_id, exchange.status, exchange.sent) == ("5", 200, len(LOG))


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
@pytest.mark.parametrize("ending", [Ending.FIN, Ending.RST])
async def test_a_cut_answer_is_visibly_broken(
    upstream: Upstream, answer: bytes, ending: Ending
) -> None:
    upstream.answer = answer
    client = Client()
    async with FaultyProxy(upstream.port, Plan([Treatment(cut=Cut(ending, 150))])) as proxy:
        (body,) = await client.ask(proxy.port)
    assert not client._is_whole()
    assert client.reset == (ending is Ending.RST)
    assert (body if answer is SIZED else b"".join(_unchunked(body))) == LOG[:150]
    assert proxy.exchanges[0].cut is ending


async def test_a_clean_early_end_looks_like_the_end(upstream: Upstream) -> None:
    client = Client()
    plan = Plan([Treatment(cut=Cut(Ending.CLEAN, 150), rechunk=True)])
    async with FaultyProxy(upstream.port, plan) as proxy:
        (body,) = await client.ask(proxy.port)
    assert client._is_whole()
    assert b"".join(_unchunked(body)) == LOG[:150]


@pytest.mark.parametrize(("edge", "n_lines"), [(1, 1), (2, 2)])
async def test_an_edge_is_behind_a_line_of_the_next_event(
    upstream: Upstream, edge: int, n_lines: int
) -> None:
    client = Client()
    plan = Plan([Treatment(cut=Cut(Ending.FIN, 150, edge))])
    async with FaultyProxy(upstream.port, plan) as proxy:
        (body,) = await client.ask(proxy.port)
    assert len(body) > 150
    assert LOG.startswith(body)
    assert body.rpartition(b"\n\n")[2].count(b"\n") == n_lines
    assert body.endswith(b"\n")


async def test_a_refusal_asks_nobody_and_keeps_the_connection(upstream: Upstream) -> None:
    client = Client()
    async with FaultyProxy(upstream.port, Plan([Treatment(status=503)])) as proxy:
        page, body = await client.ask(proxy.port, n_requests=2)
    assert b"503" in page
    assert body == LOG
    assert len(upstream.requests) == 1
    assert [exchange.status for exchange in proxy.exchanges] == [503, 200]


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
async def test_pieces_are_chunks_of_one_to_seven_bytes(upstream: Upstream, answer: bytes) -> None:
    upstream.answer = answer
    client = Client()
    plan = Plan(rest=Treatment(rechunk=True, sizes=sizes(random.Random(3))))
    async with FaultyProxy(upstream.port, plan) as proxy:
        (body,) = await client.ask(proxy.port)
    assert b"".join(_unchunked(body)) == LOG
    assert set(client.chunks()) <= set(range(1, 8))


async def test_a_stall_is_silence_behind_its_byte(upstream: Upstream) -> None:
    async with FaultyProxy(upstream.port, Plan(stalls={150: 60.0})) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"GET /log HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(150) == LOG[:150]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.1)
        writer.close()


def test_a_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    plans = [plan_of(fault, seed, 40_000) for fault in FAULTS[:3] for seed in (1, 1, 2)]
    for same, again, other in zip(plans[::3], plans[1::3], plans[2::3], strict=True):
        assert (same.treatments, same.stalls) == (again.treatments, again.stalls)
        assert (same.treatments, same.stalls) != (other.treatments, other.stalls)


def test_six_seeds_cut_in_every_way_and_within_the_log() -> None:
    cuts = [[t.cut for t in plan_of(Fault.CUT, seed, 40_000).treatments] for seed in range(1, 7)]
    assert {cut.ending for found in cuts for cut in found if cut is not None} == set(Ending)
    assert all(len(found) == N_CUTS for found in cuts)
    treatments = (
        plan_of(Fault.REFUSAL, 1, 40_000).treatments + plan_of(Fault.REFUSAL, 2, 40_000).treatments
    )
    assert {treatment.status for treatment in treatments} == {0, 502, 503}
