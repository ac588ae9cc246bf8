"""RTSP client as a state machine: OPTIONS, DESCRIBE, SETUP, PLAY, then keep-alives. Sans-IO.

    client = Client(url, credentials, transport, now_s=…)
    send(client.output())           after every call: bytes for the server
    client.receive(data, now_s)     the server's bytes; gives events, raises a `SourceError`
    client.tick(now_s)              at `client.due_s` at the latest; raises a `SourceError`

All times are seconds of one monotonic clock. A wrong password costs one request with credentials:
cameras lock accounts. Messages of errors name the host and a status, nothing else of the URL.
"""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from streamproc.source.errors import (
    SourceBusyError,
    SourceProtocolError,
    SourceStatusError,
    SourceTimeoutError,
    SourceUnauthorizedError,
)
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.rtsp import sdp
from streamproc.source.live.rtsp import transport as transports
from streamproc.source.live.rtsp.authentication import Authenticator, best_challenge
from streamproc.source.live.rtsp.events import (
    Described,
    Desynchronised,
    Ended,
    Event,
    Playing,
    Redirected,
    RtcpReceived,
    RtpReceived,
)
from streamproc.source.live.rtsp.messages import (
    Message,
    MessageError,
    Packet,
    Parser,
    Request,
    Response,
    Skipped,
)
from streamproc.source.live.rtsp.target import resolved
from streamproc.source.live.rtsp.transport import Channels
from streamproc.source.live.rtsp.url import RtspUrl

ANSWER_TIMEOUT_S: Final = 10.0
_CHANNELS: Final = Channels(0, 1)
_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})
_MAX_STALE: Final = 3
"""Nonces in a row that a server may call stale."""
_USER_AGENT: Final = "framewire"
_ANSWERED: Final = frozenset({"OPTIONS", "GET_PARAMETER", "SET_PARAMETER"})
_OUR_METHODS: Final = "OPTIONS, GET_PARAMETER, SET_PARAMETER"


class _State(Enum):
    OPTIONS = auto()
    DESCRIBE = auto()
    SETUP = auto()
    PLAY = auto()
    PLAYING = auto()
    OVER = auto()


class _Sent(NamedTuple):
    """The request that waits for an answer."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    number: int
    sent_s: float
    had_credentials: bool


class Client:
    """One RTSP connection. Not thread-safe."""

    def __init__(
        self,
        url: RtspUrl,
        credentials: Credentials | None,
        *,
        udp_ports: Channels | None = None,
        now_s: float,
    ) -> None:
        """`udp_ports`: our ports for RTP over UDP; None: RTP within the connection."""
        self._url = url
        self._authenticator = None if credentials is None else Authenticator(credentials)
        self._udp_ports = udp_ports
        self._parser = Parser()
        self._output = bytearray()
        self._state = _State.OPTIONS
        self._number = 0
        self._sent: _Sent | None = None
        self._n_stale = 0
        self._is_accepted = False
        self._channels = _CHANNELS
        self._server_ports: Channels | None = None
        self._session: str | None = None
        self._keep_alive_s = transports.DEFAULT_TIMEOUT_S / 2
        self._next_keep_alive_s = float("inf")
        self._keep_alive_method = "OPTIONS"
        self._aggregate = url.target
        self._request("OPTIONS", url.target, now_s)

    @property
    def is_over(self) -> bool:
        return self._state is _State.OVER

    @property
    def due_s(self) -> float:
        """When `tick` has something to do."""
        if self._sent is not None:
            return self._sent.sent_s + ANSWER_TIMEOUT_S
        return self._next_keep_alive_s

    def output(self) -> bytes:
        """Take the bytes that are to be sent."""
        taken = bytes(self._output)
        self._output.clear()
        return taken

    def send_rtcp(self, data: bytes) -> None:
        """Send an RTCP packet within the connection; without RTP in it, nothing is sent."""
        if self._state is _State.PLAYING and self._udp_ports is None:
            head = bytes([0x24, self._channels.rtcp]) + len(data).to_bytes(2, "big")
            self._output += head + data

    def receive(self, data: bytes, now_s: float) -> Iterator[Event]:
        """Yield what the server's bytes mean. Raises a `SourceError`."""
        try:
            for message in self._parser.receive(data):
                yield from self._handle(message, now_s)
                if self.is_over:
                    return
        except MessageError as exc:
            raise SourceProtocolError(f"{self._url.host} does not speak RTSP: {exc}") from exc

    def tick(self, now_s: float) -> None:
        """Send a keep-alive when it is time. Raises `SourceTimeoutError` without an answer."""
        if self._sent is not None and now_s >= self._sent.sent_s + ANSWER_TIMEOUT_S:
            if self._state is not _State.PLAYING:
                raise SourceTimeoutError(f"{self._url.host} did not answer in time")
            self._sent = None  # many cameras never answer a keep-alive
        if self._state is _State.PLAYING and now_s >= self._next_keep_alive_s:
            self._keep_alive(now_s)

    def close(self, now_s: float) -> None:
        """End the session; what `output` has after it is sent as far as possible."""
        if self._state in {_State.PLAY, _State.PLAYING}:
            self._request("TEARDOWN", self._aggregate, now_s)
        self._state = _State.OVER

    def _handle(self, message: Message, now_s: float) -> Iterator[Event]:
        match message:
            case Packet(channel, data):
                if channel == self._channels.rtp:
                    yield RtpReceived(data)
                elif channel == self._channels.rtcp:
                    yield RtcpReceived(data)
            case Skipped(n_bytes):
                yield Desynchronised(n_bytes)
            case Request():
                yield from self._serve(message)
            case Response():
                yield from self._answered(message, now_s)

    def _serve(self, request: Request) -> Iterator[Event]:
        """Answer a request of the server; a REDIRECT or a TEARDOWN ends this connection."""
        number = request.header("cseq") or ""
        is_known = request.method in _ANSWERED | {"REDIRECT", "TEARDOWN"}
        lines = ["RTSP/1.0 200 OK" if is_known else "RTSP/1.0 501 Not Implemented"]
        if number.isascii() and number.isdigit() and len(number) < 12:
            lines.append(f"CSeq: {number}")
        if request.method == "OPTIONS":
            lines.append(f"Public: {_OUR_METHODS}")
        self._write(lines)
        if request.method == "REDIRECT":
            self._state = _State.OVER
            location = request.header("location")
            yield Ended() if location is None else Redirected(location)
        elif request.method == "TEARDOWN":
            self._state = _State.OVER
            yield Ended()

    def _answered(self, response: Response, now_s: float) -> Iterator[Event]:
        sent = self._sent
        number = response.header("cseq")
        if sent is None or (number is not None and number != str(sent.number)):
            return  # late, or an answer to nothing
        if response.status == 100:
            return
        self._sent = None
        if response.status == 401:
            self._authenticate(sent, response, now_s)
            return
        self._n_stale = 0
        if response.status == 403:
            raise SourceUnauthorizedError(f"{self._url.host} refuses access with status 403")
        if sent.had_credentials:
            self._is_accepted = True
        location = response.header("location")
        if response.status in _REDIRECTS and location is not None:
            self._state = _State.OVER
            yield Redirected(location)
            return
        yield from self._step(response, now_s)

    def _step(self, response: Response, now_s: float) -> Iterator[Event]:
        match self._state:
            case _State.OPTIONS:  # whatever the answer: some servers know no OPTIONS
                methods = (response.header("public") or "").replace(",", " ").upper().split()
                if "GET_PARAMETER" in methods:
                    self._keep_alive_method = "GET_PARAMETER"
                self._state = _State.DESCRIBE
                self._request("DESCRIBE", self._url.target, now_s, (("Accept", "application/sdp"),))
            case _State.DESCRIBE:
                self._require_success(response)
                description = sdp.parse(response.body, self._url.host)
                yield Described(description)
                self._set_up(response, description, now_s)
            case _State.SETUP:
                self._accept_transport(response)
                self._state = _State.PLAY
                self._request("PLAY", self._aggregate, now_s, (("Range", "npt=0.000-"),))
            case _State.PLAY:
                self._require_success(response)
                self._state = _State.PLAYING
                self._next_keep_alive_s = now_s + self._keep_alive_s
                yield Playing(self._server_ports)
            case _State.PLAYING:
                if response.status == 454:  # session not found
                    self._state = _State.OVER
                    yield Ended()

    def _authenticate(self, sent: _Sent, response: Response, now_s: float) -> None:
        """Send a refused request again, with credentials, unless those were refused.

        A server that has accepted them before may change its nonce without calling it stale.
        """
        host = self._url.host
        authenticator = self._authenticator
        if authenticator is None:
            raise SourceUnauthorizedError(f"{host} asks for a user name and password")
        challenge = best_challenge(response.headers.get("www-authenticate", ()))
        if challenge is None:
            raise SourceUnauthorizedError(f"{host} asks for an unknown kind of authentication")
        if sent.had_credentials:
            used = authenticator.challenge
            is_new = used is not None and challenge.nonce != used.nonce
            self._n_stale += 1
            may_repeat = is_new and (challenge.is_stale or self._is_accepted)
            if not may_repeat or self._n_stale > _MAX_STALE:
                raise SourceUnauthorizedError(f"{host} refused the user name or the password")
        authenticator.accept(challenge)
        self._request(sent.method, sent.target, now_s, sent.headers)

    def _set_up(self, response: Response, description: sdp.Description, now_s: float) -> None:
        whole, track = description.control or "*", description.track.control
        base = response.header("content-base") or response.header("content-location")
        base = resolved(self._url.target, base) if base else self._url.target
        self._aggregate = base if whole == "*" else resolved(base, whole)
        target = self._aggregate if track in {"", "*"} else resolved(base, track)
        ports = self._udp_ports
        header = transports.interleaved(_CHANNELS) if ports is None else transports.datagrams(ports)
        self._state = _State.SETUP
        self._request("SETUP", target, now_s, (("Transport", header),))

    def _accept_transport(self, response: Response) -> None:
        host = self._url.host
        asked = "RTP over TCP" if self._udp_ports is None else "RTP over UDP"
        if response.status == 461:
            raise SourceProtocolError(f"{host} does not offer {asked}")
        self._require_success(response)
        header = response.header("transport")
        try:
            if self._udp_ports is None:
                self._channels = transports.accepted_channels(header, _CHANNELS)
            else:
                self._server_ports = transports.accepted_ports(header)
        except ValueError as exc:
            raise SourceProtocolError(f"{host} does not offer {asked}") from exc
        try:
            self._session, timeout_s = transports.session(response.header("session"))
        except ValueError as exc:
            raise SourceProtocolError(f"{host} named no valid session") from exc
        self._keep_alive_s = timeout_s / 2

    def _require_success(self, response: Response) -> None:
        if response.status == 453:  # not enough bandwidth: too many connections
            raise SourceBusyError(f"{self._url.host} is busy: it answered with status 453")
        if response.status != 200:
            raise SourceStatusError(f"{self._url.host} answered with status {response.status}")

    def _keep_alive(self, now_s: float) -> None:
        self._next_keep_alive_s = now_s + self._keep_alive_s
        if self._sent is None:
            self._request(self._keep_alive_method, self._aggregate, now_s)

    def _request(
        self, method: str, target: str, now_s: float, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._number += 1
        lines = [f"{method} {target} RTSP/1.0", f"CSeq: {self._number}"]
        lines.append(f"User-Agent: {_USER_AGENT}")
        if self._session is not None:
            lines.append(f"Session: {self._session}")
        login = None if self._authenticator is None else self._authenticator.header(method, target)
        if login is not None:
            lines.append(f"Authorization: {login}")
        lines += [f"{name}: {value}" for name, value in headers]
        self._write(lines)
        self._sent = _Sent(method, target, headers, self._number, now_s, login is not None)

    def _write(self, lines: list[str]) -> None:
        self._output += ("\r\n".join(lines) + "\r\n\r\n").encode()
