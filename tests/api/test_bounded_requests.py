"""Heads, bodies and connections that nobody honest sends, over raw sockets."""

import contextlib
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from tests.api.bare import BareServer, read_all, read_answer, wait_until

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /length HTTP/1.1\r\nHost: x\r\n"
KIB = 1024


@pytest.fixture(scope="module")
def server() -> Iterator[BareServer]:
    with BareServer() as server:
        yield server


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12])


def refused(answer: bytes, code: str) -> int:
    """The answer is a problem of this code, alone, and closes; return its status."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
    assert b"x-content-type-options: nosniff" in head.lower()
    assert f'"code":"{code}"'.encode() in body, body
    return status(answer)


@pytest.mark.parametrize("field_bytes", [70 * KIB, 300 * KIB, 5_000 * KIB])
def test_a_head_above_the_limit_is_431(server: BareServer, field_bytes: int) -> None:
    answer = server.ask(HEAD + b"X: " + b"a" * field_bytes + b"\r\n\r\n")
    assert refused(answer, "head_too_large") == 431


@pytest.mark.parametrize("n_pieces", [3, 40])
def test_a_head_without_end_is_431_as_soon_as_it_is_too_large(
    server: BareServer, n_pieces: int
) -> None:
    pieces = [b"X%d: " % i + b"a" * (100 * KIB // n_pieces) + b"\r\n" for i in range(n_pieces)]
    assert refused(server.ask(HEAD, *pieces), "head_too_large") == 431


def test_a_head_just_below_the_limit_is_taken(server: BareServer) -> None:
    pad = 64 * KIB - len(HEAD) - 200
    answer = server.ask(HEAD + b"Connection: close\r\nX: " + b"a" * pad + b"\r\n\r\n")
    assert status(answer) == 200


def test_too_many_fields_are_431(server: BareServer) -> None:
    fields = b"".join(b"A%d: 1\r\n" % i for i in range(200))
    assert refused(server.ask(HEAD + fields + b"\r\n"), "head_too_large") == 431


@pytest.mark.parametrize("end", [b" HTTP/1.1\r\nHost: x\r\n\r\n", b""], ids=["whole", "endless"])
@pytest.mark.parametrize("size_bytes", [17 * KIB, 60 * KIB, 2_000 * KIB])
def test_a_long_url_is_414_or_431(server: BareServer, size_bytes: int, end: bytes) -> None:
    answer = server.ask(b"GET /?q=" + b"a" * size_bytes + end)
    assert status(answer) in {414, 431}


def test_the_cost_of_a_head_does_not_grow_with_what_follows(server: BareServer) -> None:
    """Another client is answered while somebody sends a header that has no end."""
    with server.connect() as hostile, server.connect() as other:
        hostile.settimeout(0.2)
        hostile.sendall(HEAD + b"X: ")
        worst_s = 0.0
        for _ in range(20):
            with contextlib.suppress(OSError):
                hostile.sendall(b"a" * 1000 * KIB)
            begun_s = time.perf_counter()
            other.sendall(HEAD + b"\r\n")
            assert status(read_answer(other)) == 200
            worst_s = max(worst_s, time.perf_counter() - begun_s)
    assert worst_s < 2


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Content-Length: +5\r\n\r\nhello",
        POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\nHost : x\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_400(server: BareServer, head: bytes) -> None:
    assert refused(server.ask(head), "bad_head") == 400


def test_a_request_of_http_1_0_needs_no_host(server: BareServer) -> None:
    assert status(server.ask(b"GET / HTTP/1.0\r\n\r\n")) == 200


@pytest.mark.parametrize("size_bytes", [40 * KIB, 1_000 * KIB])
def test_huge_chunk_extensions_are_400(server: BareServer, size_bytes: int) -> None:
    body = b"5;x=" + b"a" * size_bytes + b"\r\nhello\r\n0\r\n\r\n"
    answer = server.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert refused(answer, "bad_chunks") == 400


def test_endless_trailers_are_400(server: BareServer) -> None:
    body = b"5\r\nhello\r\n0\r\n" + b"".join(b"T%d: %b\r\n" % (i, b"a" * 99) for i in range(999))
    answer = server.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert refused(answer, "bad_chunks") == 400


@pytest.mark.parametrize("chunk_bytes", [1, 7, 4000])
def test_small_chunks_without_extensions_are_read(server: BareServer, chunk_bytes: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (chunk_bytes, b"a" * chunk_bytes)
    n_chunks = 40_000 // chunk_bytes
    head = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = server.ask(head, chunk * n_chunks, b"0\r\nTrailer: no\r\n\r\n")
    assert status(answer) == 201
    assert answer.endswith(b"%d" % (n_chunks * chunk_bytes))


def test_requests_that_are_sent_at_once_are_answered_in_order(server: BareServer) -> None:
    one = POST + b"Content-Length: 5\r\n\r\nhello"
    three = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    last = HEAD + b"Connection: close\r\n\r\n"
    answer = server.ask(one + three + one + last)
    assert answer.count(b"HTTP/1.1 ") == 4
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"5", b"3", b"5", b"hello"]


def test_an_early_answer_arrives_while_the_body_is_still_sent(server: BareServer) -> None:
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head + bytes(400_000))
        assert status(read_answer(connection)) == 201


class TestTime:
    """Deadlines of 0.3 s."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[BareServer]:
        with BareServer(
            head_s=0.3, body_grace_s=0.3, body_bytes_per_s=100_000, linger_s=0.3
        ) as server:
            yield server

    def test_a_connection_that_says_nothing_is_closed(self, server: BareServer) -> None:
        assert server.ask(b"") == b""

    @pytest.mark.parametrize("sent", [b"G", HEAD, HEAD + b"X: a"])
    def test_a_head_that_does_not_end_is_408(self, server: BareServer, sent: bytes) -> None:
        assert refused(server.ask(sent), "request_timeout") == 408

    def test_a_head_that_comes_in_drops_is_408(self, server: BareServer) -> None:
        with server.connect() as connection:
            connection.settimeout(0.05)
            answer = b""
            deadline_s = time.monotonic() + 10
            while not answer and time.monotonic() < deadline_s:
                connection.sendall(b"\r\n" if not answer else b"")
                connection.sendall(HEAD[:1])
                try:
                    answer = connection.recv(65536)
                except TimeoutError:
                    continue
        assert status(answer) in {400, 408}

    @pytest.mark.parametrize("sent", [b"", b"hello"])
    def test_a_body_that_stops_is_408(self, server: BareServer, sent: bytes) -> None:
        answer = server.ask(POST + b"Content-Length: 100000\r\n\r\n" + sent)
        assert refused(answer, "request_timeout") == 408

    def test_a_body_that_is_fast_enough_may_take_longer_than_the_grace(
        self, server: BareServer
    ) -> None:
        pieces = 8
        with server.connect() as connection:
            connection.sendall(
                POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (pieces * 50_000)
            )
            begun_s = time.monotonic()
            for _ in range(pieces - 1):
                connection.sendall(bytes(50_000))
                select_nothing(connection, 0.1)
            connection.sendall(bytes(50_000))
            assert time.monotonic() - begun_s > 0.6
            assert status(read_all(connection)) == 201

    def test_blank_lines_keep_nothing_alive(self, server: BareServer) -> None:
        with server.connect() as connection:
            connection.settimeout(0.1)
            deadline_s = time.monotonic() + 10
            while time.monotonic() < deadline_s:
                try:
                    connection.sendall(b"\r\n")
                    if connection.recv(10) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            else:
                pytest.fail("the connection is still open")

    def test_an_answer_under_way_has_no_deadline(self, server: BareServer) -> None:
        with server.connect() as connection:
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            begun_s = time.monotonic()
            while time.monotonic() - begun_s < 1.2:
                assert connection.recv(65536)

    def test_the_rest_of_an_answered_request_is_not_read_for_ever(self, server: BareServer) -> None:
        head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n"
        assert status(server.ask(head)) == 201


def select_nothing(connection: socket.socket, within_s: float) -> None:
    """Let so much time pass; fails when an answer comes meanwhile."""
    connection.settimeout(within_s)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)


class TestConnections:
    """Six connections in all, three of one address."""

    @pytest.fixture
    def server(self) -> Iterator[BareServer]:
        with BareServer(connections=6, connections_per_address=3) as server:
            yield server

    def test_the_oldest_silent_connection_makes_room(self, server: BareServer) -> None:
        silent = [server.connect(f"127.0.0.{2 + i % 3}") for i in range(6)]
        for address in ("127.0.0.9", "127.0.0.10"):
            answer = server.ask(HEAD + b"Connection: close\r\n\r\n", host=address)
            assert status(answer) == 200
        assert read_all(silent[0]) == b""
        silent[-1].sendall(HEAD + b"\r\n")
        assert status(read_answer(silent[-1])) == 200
        for connection in silent:
            connection.close()

    def test_one_address_has_its_share(self, server: BareServer) -> None:
        mine = [server.connect("127.0.0.2") for _ in range(4)]
        assert read_all(mine[0]) == b""
        assert len(server.connections) == 3
        for connection in mine:
            connection.close()

    def test_a_kept_alive_connection_counts_as_silent(self, server: BareServer) -> None:
        mine = [server.connect("127.0.0.2") for _ in range(3)]
        for connection in mine:
            connection.sendall(HEAD + b"\r\n")
            read_answer(connection)
        assert status(server.ask(HEAD + b"Connection: close\r\n\r\n", host="127.0.0.2")) == 200
        assert read_all(mine[0]) == b""
        for connection in mine:
            connection.close()

    def test_a_request_under_way_is_not_cut_off_for_another(self, server: BareServer) -> None:
        mine = [server.connect("127.0.0.2") for _ in range(3)]
        for connection in mine:
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(9) == b"HTTP/1.1 "
        answer = server.ask(b"", host="127.0.0.2")
        assert status(answer) == 429
        assert b"retry-after" in answer
        for connection in mine:
            assert connection.recv(1)
        others = [server.connect(f"127.0.0.{i}") for i in (3, 3, 3)]
        for connection in others:
            connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(9) == b"HTTP/1.1 "
        assert status(server.ask(b"", host="127.0.0.4")) == 503
        for connection in mine + others:
            connection.close()
        wait_until(lambda: len(server.connections) == 0)
        assert status(server.ask(HEAD + b"Connection: close\r\n\r\n", host="127.0.0.2")) == 200

    def test_a_connection_of_a_trusted_proxy_counts_for_whom_it_passes_on(self) -> None:
        asked = b"GET /%b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9, %b\r\n"
        with BareServer(
            connections=20,
            connections_per_address=2,
            trusted_proxies=(ip_network("127.0.0.2"), ip_network("10.0.0.0/8")),
        ) as server:
            mine = [server.connect("127.0.0.2") for _ in range(4)]
            for connection, client in zip(mine, (b"1.1.1.1", b"1.1.1.1, 10.0.0.7"), strict=False):
                connection.sendall(asked % (b"stream", client) + b"\r\n")
                assert connection.recv(12) == b"HTTP/1.1 200"
            mine[2].sendall(asked % (b"", b"1.1.1.1") + b"\r\n")
            assert status(read_all(mine[2])) == 429
            mine[3].sendall(asked % (b"client", b"2.2.2.2") + b"\r\n")
            assert b"2.2.2.2" in read_answer(mine[3])
            told = server.ask(asked % (b"client", b"2.2.2.2") + b"Connection: close\r\n\r\n")
            assert b"127.0.0.1" in told, "a client's own header is believed"
            mine[0].close()
            wait_until(lambda: server.connections.begin("1.1.1.1"))
            for connection in mine[1:]:
                connection.close()

    def test_a_flood_of_silent_connections_silences_nobody(self, server: BareServer) -> None:
        flood: list[socket.socket] = []
        for i in range(60):
            flood.append(server.connect(f"127.0.0.{20 + i}"))
            if i % 10 == 0:
                answer = server.ask(HEAD + b"Connection: close\r\n\r\n", host="127.0.0.2")
                assert status(answer) == 200
        assert len(server.connections) <= 6
        for connection in flood:
            connection.close()
