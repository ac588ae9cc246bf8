"""What a name server says: every answer counts, and what was checked is what is connected to."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import SourceError
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from tests.streamproc.source.raw_origin import Exchange, RawOrigin, raw_origin

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.7"
VICTIM = "127.0.0.9"


class Names:
    """A resolver by script: each question takes the next list of addresses, the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.n_asked = 0

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        answers = self._answers[min(self.n_asked, len(self._answers) - 1)]
        self.n_asked += 1
        kind = socket.AF_INET
        return [(kind, socket.SOCK_STREAM, 6, "", (answer, port)) for answer in answers]


def redirect(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n")


@pytest.fixture
def origin() -> Iterator[RawOrigin]:
    with raw_origin(redirect) as server:
        yield server


@pytest.fixture
def victim(origin: RawOrigin) -> Iterator[RawOrigin]:
    with raw_origin(redirect, place=(VICTIM, origin.port)) as server:
        yield server


def refusal(url: str, policy: FetchPolicy) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_reader(url, policy)
    return caught.value


@pytest.mark.parametrize(
    "answers",
    [[PUBLIC, PRIVATE], [PRIVATE, PUBLIC], [PUBLIC, "::1"], [PUBLIC, "::ffff:10.0.0.7"], [PRIVATE]],
)
def test_one_private_answer_is_enough_to_refuse(
    answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(answers))
    error = refusal("http://mixed.example/a.mp4", FetchPolicy(open_timeout_s=5.0))
    assert error.code == "source_forbidden"
    assert str(error) == "mixed.example has no address that may be fetched from"


def test_a_name_that_changes_its_address_is_asked_once_for_each_connection(
    origin: RawOrigin, victim: RawOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(["127.0.0.1"], [VICTIM])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    allowed = PrivateHosts(f"127.0.0.1/32:{origin.port}")
    error = refusal(
        f"http://turning.example:{origin.port}/a.mp4", FetchPolicy(allowed_private_hosts=allowed)
    )
    assert error.code == "source_forbidden"  # the redirect's own look-up found the victim
    assert (origin.n_accepted, victim.n_accepted, names.n_asked) == (1, 0, 2)


def test_a_name_without_an_address_is_told_apart_only_where_the_operator_lists_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names([]))
    listed = FetchPolicy(allowed_private_hosts=PrivateHosts("s3.example:9000"), open_timeout_s=5.0)
    assert refusal("http://s3.example:9000/a.mp4", listed).code == "source_unreachable"
    assert refusal("http://s3.example:9001/a.mp4", listed).code == "source_forbidden"
    assert refusal("http://other.example/a.mp4", listed).code == "source_forbidden"
    own = FetchPolicy().for_own_store("s3.example:9000")
    assert refusal("http://s3.example:9000/a.mp4", own).code == "store_unavailable"


WIDE, CIRCLED = "\uff11\uff12\uff17.0.0.1", "①②⑦.0.0.1"


@pytest.mark.parametrize(
    "host", [WIDE, CIRCLED, "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "0177.0.0.1", "127.1", "0"]
)
def test_a_disguised_address_is_refused(origin: RawOrigin, host: str) -> None:
    error = refusal(f"http://{host}:{origin.port}/a.mp4", FetchPolicy(open_timeout_s=5.0))
    assert error.code == "source_forbidden"
    assert origin.n_accepted == 0
    assert refusal(f"http://{host}/a.mp4", FetchPolicy(open_timeout_s=5.0)).code == error.code
