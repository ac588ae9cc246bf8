"""What a name server says: every answer counts, and what was checked is what is connected to."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source import address
from streamproc.source.errors import SourceError
from streamproc.source.fetch import open_reader
from streamproc.source.policy import FetchPolicy

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


class Listener:
    """Accepts, counts, and answers with an empty file."""

    def __init__(self, host: str, port: int = 0) -> None:
        self.hits = 0
        self._socket = socket.create_server((host, port))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.hits += 1
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def origin() -> Iterator[Listener]:
    listener = Listener("127.0.0.1")
    yield listener
    listener.close()


@pytest.fixture
def victim(origin: Listener) -> Iterator[Listener]:
    listener = Listener(VICTIM, origin.port)
    yield listener
    listener.close()


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
    monkeypatch.setattr(address.socket, "getaddrinfo", Names(answers))
    error = refusal("http://mixed.example/a.mp4", FetchPolicy(open_timeout_s=5.0))
    assert error.code == "source_forbidden"
    assert str(error) == "mixed.example has no address that may be fetched from"


def test_a_name_that_changes_its_address_is_asked_once_for_each_connection(
    origin: Listener, victim: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(["127.0.0.1"], [VICTIM])
    monkeypatch.setattr(address.socket, "getaddrinfo", names)
    allowed = PrivateHosts(f"127.0.0.1/32:{origin.port}")
    error = refusal(
        f"http://turning.example:{origin.port}/a.mp4", FetchPolicy(allowed_private_hosts=allowed)
    )
    assert error.code == "source_forbidden"  # the redirect's own look-up found the victim
    assert (origin.hits, victim.hits, names.n_asked) == (1, 0, 2)


WIDE, CIRCLED = "\uff11\uff12\uff17.0.0.1", "①②⑦.0.0.1"


@pytest.mark.parametrize(
    "host", [WIDE, CIRCLED, "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "0177.0.0.1", "127.1", "0"]
)
def test_a_disguised_address_is_refused(origin: Listener, host: str) -> None:
    error = refusal(f"http://{host}:{origin.port}/a.mp4", FetchPolicy(open_timeout_s=5.0))
    assert error.code == "source_forbidden"
    assert origin.hits == 0
    assert refusal(f"http://{host}/a.mp4", FetchPolicy(open_timeout_s=5.0)).code == error.code
