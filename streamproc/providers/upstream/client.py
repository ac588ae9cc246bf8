"""HTTP client of another Video API, for one task: submit, stream from a byte offset, cancel.

    UpstreamCutError    a retry may succeed: disconnect, silence, overloaded upstream
    TaskFailedError     a retry cannot succeed

Messages contain no address and no key. Redirects are not followed: they would forward the key.
"""

import contextlib
import hashlib
import re
import ssl
import threading
from collections.abc import Generator
from functools import cache
from typing import Any

import httpx
import msgspec

from streamproc.contract.providers import Provider
from streamproc.errors import StreamprocError, TaskFailedError
from streamproc.providers.upstream.bounded_http import (
    Answer,
    BadAnswerError,
    Connections,
    Sockets,
    ask,
    check_encoding,
)

_PROCESS = "/v1/video/process"
_TASKS = "/v1/video/tasks"
_ID = re.compile(r"[\w.:~-]{1,128}", re.ASCII)
_PASSING = frozenset({408, 409, 425, 429})
_CANCEL_S = 3.0
_CANCEL_ATTEMPTS = 2
_QUIET_S = 15.0  # reconnect after this silence: the connection may be half open


class UpstreamCutError(StreamprocError):
    """The stream was interrupted, or (not `opened`) did not start."""

    def __init__(self, message: str, *, opened: bool) -> None:
        super().__init__(message)
        self.opened = opened


class _Accepted(msgspec.Struct):
    id: str


class UpstreamClient:
    """Client of one provider for one task. `abort` and `cancel` are thread-safe."""

    def __init__(self, provider: Provider, key: str | None) -> None:
        """Raises `TaskFailedError` if the provider needs a key and there is none."""
        self._base = (provider.url or "").rstrip("/")
        self._headers = {"accept-encoding": "identity", "user-agent": "framewire"}
        if provider.key_env is not None:
            if not key:
                raise TaskFailedError(
                    "upstream_unconfigured", f"{provider.key_env} is not set at this worker"
                )
            self._headers["authorization"] = f"Bearer {key}"
        self._answer_s = provider.answer_s
        self._connections = Connections()

    def submit(self, body: dict[str, Any], task: str) -> str:
        """Submit a task and return its id at the upstream.

        Idempotent: repeated requests of the same `task` are one task there, if the upstream honours
        Idempotency-Key. Raises `TaskFailedError` unless the upstream accepts the task.
        """
        content = msgspec.json.encode(body)
        digest = hashlib.sha256(task.encode() + b"\n" + content).hexdigest()
        headers = {"content-type": "application/json", "idempotency-key": f"framewire-{digest}"}
        try:
            answer = self._post(
                "/v1/video/process", self._answer_s, self._connections, content, headers
            )
        except httpx.TimeoutException as exc:
            raise TaskFailedError(
                "upstream_timeout", f"the upstream did not answer within {self._answer_s:g} s"
            ) from exc
        except BadAnswerError as exc:
            raise TaskFailedError("upstream_invalid", str(exc)) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise TaskFailedError("upstream_unreachable", "the upstream cannot be reached") from exc
        if not 200 <= answer.status < 300:
            raise _refusal(answer.status)
        try:
            accepted = msgspec.json.decode(answer.body, type=_Accepted)
        except msgspec.DecodeError as exc:
            raise TaskFailedError("upstream_invalid", "the upstream gave no task id") from exc
        if not _ID.fullmatch(accepted.id):
            raise TaskFailedError("upstream_invalid", "the upstream gave an impossible task id")
        return accepted.id

    def stream(self, task_id: str, offset: int, silence_s: float) -> Generator[bytes]:
        """Yield the stream's bytes from `offset` on, until it ends or `abort` is called.

        Raises `UpstreamCutError`, also after min(`silence_s`, 15 s) without a byte, or
        `TaskFailedError` if the upstream refuses the stream.
        """
        timeout = httpx.Timeout(self._answer_s, read=min(silence_s, _QUIET_S))
        headers = {"accept": "text/event-stream"}
        if offset:
            headers["last-event-id"] = str(offset)
        url = f"{self._base}{_TASKS}/{task_id}/stream"
        opened = False
        sockets = Sockets()
        late = threading.Timer(self._answer_s, sockets.hang_up)
        late.daemon = True
        late.start()
        try:
            with (
                self._connections.ends(sockets.hang_up),
                self._client(timeout) as http,
                http.stream("GET", url, headers=headers, extensions=_traced(sockets)) as answer,
            ):
                late.cancel()
                self._check(answer)
                opened = True
                yield from answer.iter_raw()
        except (httpx.HTTPError, httpx.StreamError, OSError) as exc:
            raise UpstreamCutError(type(exc).__name__, opened=opened) from exc
        finally:
            late.cancel()

    def abort(self) -> None:
        """End all current requests, in any phase; later requests end at once."""
        self._connections.abort()

    def cancel(self, task_id: str) -> bool:
        """Request the task's cancellation; return whether the upstream accepted the request."""
        total_s = min(self._answer_s, _CANCEL_S)
        for _ in range(_CANCEL_ATTEMPTS):
            # A separate `Connections`: `abort` must not end this request, which follows it.
            with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL, BadAnswerError):
                answer = self._post(f"{_TASKS}/{task_id}/cancel", total_s, Connections())
                if answer.status < 500:
                    return 200 <= answer.status < 300
        return False

    def _post(
        self,
        path: str,
        total_s: float,
        connections: Connections,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        def request(http: httpx.Client, sockets: Sockets) -> httpx.Request:
            return http.build_request(
                "POST",
                f"{self._base}{path}",
                content=content,
                headers=headers,
                extensions=_traced(sockets),
            )

        return ask(lambda: self._client(httpx.Timeout(total_s)), request, total_s, connections)

    def _client(self, timeout: httpx.Timeout) -> httpx.Client:
        return httpx.Client(
            headers=self._headers, timeout=timeout, trust_env=False, verify=_tls_context()
        )

    def _check(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status == 200:
            try:
                check_encoding(answer)
            except BadAnswerError as exc:
                raise TaskFailedError("upstream_invalid", str(exc)) from exc
            return
        if answer.is_server_error or status in _PASSING:
            raise UpstreamCutError(f"status {status}", opened=False)
        if status in {204, 416}:
            raise TaskFailedError(
                "upstream_failed", "the upstream's stream ended without a finish_reason"
            )
        raise _refusal(status)


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the process's TLS context, cached: creating one takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=False)


def _traced(sockets: Sockets) -> dict[str, Any]:
    return {"trace": sockets.trace}


def _refusal(status: int) -> TaskFailedError:
    code = "upstream_unavailable" if status >= 500 else "upstream_refused"
    return TaskFailedError(code, f"the upstream answered with status {status}")
