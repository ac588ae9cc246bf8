"""Opening a source ends: at its deadline, and at once when it is interrupted, in every phase."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.task_spec import Sampling
from streamproc.source.errors import SourceClosedError, SourceError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.streamproc.source.conftest import Clip
from tests.streamproc.source.raw_origin import Exchange, RawOrigin, raw_origin

SOON_S = 2.0


@contextmanager
def full_backlog() -> Iterator[tuple[str, Callable[[], None]]]:
    """A port on which a connection is neither accepted nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}", lambda: time.sleep(0.2)
        for one in waiting:
            one.close()


def is_asked(origin: RawOrigin) -> Callable[[], None]:
    return lambda: origin.wait(lambda: origin.n_open > 0)


@contextmanager
def behaving(
    behave: Callable[[Exchange], None], *, reads_request: bool = True
) -> Iterator[tuple[str, Callable[[], None]]]:
    with raw_origin(behave, reads_request=reads_request) as origin:
        yield origin.authority, is_asked(origin)


def head_of(n_bytes: int, total: int) -> Callable[[Exchange], None]:
    def behave(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        exchange.send(b"\0" * n_bytes)
        exchange.hang()

    return behave


def moving(exchange: Exchange) -> None:
    if exchange.path.endswith("!"):
        exchange.hang()
    exchange.send(b"HTTP/1.1 302 X\r\nLocation: /there!\r\nContent-Length: 0\r\n\r\n")


PHASES: dict[str, Callable[[], Any]] = {
    "connect": full_backlog,
    "tls": lambda: behaving(Exchange.hang, reads_request=False),
    "headers": lambda: behaving(Exchange.hang),
    "redirect": lambda: behaving(moving),
    "head": lambda: behaving(head_of(100, 10**6)),
}


def opened(url: str, authority: str, interrupt: Interrupt, **limits: Any) -> SourceError:
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts(authority), **limits)
    spec = SourceSpec(url, Sampling("interval", 1))
    with (
        pytest.raises(SourceError) as caught,
        open_source(spec, policy, FrameOutputs(), None, interrupt),
    ):
        pass
    return caught.value


def decoders() -> set[int]:
    """Return the children of the nursery that have an order; one that was forked ahead has none."""
    found = set()
    for fork_server in psutil.Process().children():
        for child in fork_server.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.num_threads() > 1:  # the second one watches the parent
                    found.add(child.pid)
    return found


@contextmanager
def interrupting(interrupt: Interrupt, when: Callable[[], object]) -> Iterator[list[float]]:
    """Set the interrupt after `when` has returned; yields a list that gets the time of that."""
    at_s: list[float] = []

    def wait() -> None:
        when()
        at_s.append(time.monotonic())
        interrupt.set(SourceClosedError("the task was cancelled"))

    thread = threading.Thread(target=wait)
    thread.start()
    yield at_s
    thread.join()


@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_ends_every_phase_at_once(phase: str) -> None:
    scheme = "https" if phase == "tls" else "http"
    interrupt = Interrupt()
    with PHASES[phase]() as (authority, when), interrupting(interrupt, when) as at_s:
        error = opened(f"{scheme}://{authority}/x.mp4", authority, interrupt)
        assert time.monotonic() - at_s[0] < SOON_S
    assert str(error) == "the task was cancelled"


@pytest.mark.parametrize("phase", PHASES)
def test_the_deadline_ends_every_phase(phase: str) -> None:
    scheme = "https" if phase == "tls" else "http"
    started_s = time.monotonic()
    with PHASES[phase]() as (authority, _):
        error = opened(f"{scheme}://{authority}/x.mp4", authority, Interrupt(), open_timeout_s=0.5)
    assert time.monotonic() - started_s < 0.5 + SOON_S
    assert (error.code, str(error)) == ("source_timeout", "the source was not open within 0.5 s")


def test_an_interrupt_ends_a_look_up_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = threading.Event(), threading.Event()

    def never(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        released.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    interrupt = Interrupt()
    with interrupting(interrupt, lambda: asked.wait(10)) as at_s:
        error = opened("http://slow.example/x.mp4", "", interrupt)
        assert time.monotonic() - at_s[0] < SOON_S
    released.set()
    assert str(error) == "the task was cancelled"


@pytest.mark.parametrize("ranged", [True, False], ids=["ranged", "whole"])
@pytest.mark.parametrize("ends", ["interrupt", "deadline"])
def test_a_child_that_waits_for_the_middle_ends_too(clip: Clip, ranged: bool, ends: str) -> None:
    plain = clip("plain.mp4").read_bytes()
    free = (1_000_000).to_bytes(4, "big") + b"free" + bytes(999_992)
    body = plain[:32] + free + plain[32:] + free  # the index is in the middle
    stuck = threading.Event()

    def behave(exchange: Exchange) -> None:
        start, last = exchange.range
        if not ranged:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            exchange.send(body[:140_000])
        elif start == 0 or last:  # its beginning, or the end alone
            end = int(last) if last else len(body) - 1
            exchange.send(
                b"HTTP/1.1 206 Partial\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
                % (start, end, len(body))
                + body[start : end + 1][:140_000]
            )
        if not ranged or last:
            stuck.set()
        exchange.hang()

    interrupt = Interrupt()
    before = decoders()
    with raw_origin(behave) as origin:
        url = f"http://{origin.authority}/x.mp4"
        if ends == "interrupt":
            with interrupting(interrupt, lambda: stuck.wait(10)) as at_s:
                error = opened(url, origin.authority, interrupt)
                assert time.monotonic() - at_s[0] < SOON_S
            assert error.code == "source_closed"
        else:
            error = opened(url, origin.authority, interrupt, open_timeout_s=0.6)
            assert error.code == "source_timeout"
        origin.wait(lambda: origin.n_open == 0)
    assert decoders() <= before


def test_a_copy_that_arrives_well_gets_more_time_than_the_deadline(clip: Clip) -> None:
    plain = clip("plain.mp4").read_bytes()  # its index stands at the end
    free = (3 << 20).to_bytes(4, "big") + b"free" + bytes((3 << 20) - 8)
    index_at = plain.index(b"moov") - 4
    body = plain[:index_at] + free + plain[index_at:]

    def behave(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        step = len(body) // 12
        for at in range(0, len(body), step):
            exchange.send(body[at : at + step])
            exchange.origin.released.wait(0.1)

    with raw_origin(behave) as origin:
        policy = FetchPolicy(
            allowed_private_hosts=PrivateHosts(origin.authority), open_timeout_s=0.4
        )
        spec = SourceSpec(f"http://{origin.authority}/x.mp4", Sampling("interval", 1))
        started_s = time.monotonic()
        with open_source(spec, policy, FrameOutputs()) as source:
            assert source.info.width == 160
        assert time.monotonic() - started_s > 0.8


@pytest.mark.parametrize("host", ["localhost", "no-such-name.invalid"])
def test_an_internal_name_and_none_at_all_have_the_same_answer(host: str) -> None:
    started_s = time.monotonic()
    error = opened(f"http://{host}/", "", Interrupt())
    assert time.monotonic() - started_s >= 0.2
    assert error.code == "source_forbidden"
    assert str(error) == f"{host} has no address that may be fetched from"
