"""HTTP to another Video API: submit, stream from a byte, cancel. One task's client.

    UpstreamCutError    another attempt may mend it: a cut, a silence, an overloaded upstream
    TaskFailedError     it will not be mended by asking again

Messages name no address and no key. Redirects are not followed: they would take the key along.
"""

import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Generator, Mapping
from typing import Any

import httpx
import msgspec

from streamproc.contract.providers import Provider
from streamproc.errors import StreamprocError, TaskFailedError

_TASKS = "/v1/video/tasks"
_ID = re.compile(r"[\w.:~-]{1,128}", re.ASCII)
_PASSING = frozenset({408, 409, 425, 429})
_CANCEL_S = 3.0
_CANCEL_ATTEMPTS = 2
_QUIET_S = 15.0  # a connection that is silent for so long is made anew: it may be half open


class UpstreamCutError(StreamprocError):
    """The stream broke off, or (not `opened`) did not begin."""

    def __init__(self, message: str, *, opened: bool) -> None:
        super().__init__(message)
        self.opened = opened


class _Accepted(msgspec.Struct):
    id: str


class UpstreamClient:
    """One provider's service, for one task. `abort` and `cancel` may be called by any thread."""

    def __init__(self, provider: Provider, environ: Mapping[str, str]) -> None:
        """Raises `TaskFailedError` when the provider's key is not set."""
        self._base = (provider.url or "").rstrip("/")
        self._headers = {"accept-encoding": "identity", "user-agent": "framewire"}
        if provider.key_env is not None:
            key = environ.get(provider.key_env)
            if not key:
                raise TaskFailedError(
                    "upstream_unconfigured", f"{provider.key_env} is not set at this worker"
                )
            self._headers["authorization"] = f"Bearer {key}"
        self._answer_s = provider.answer_s
        self._http = self._client(provider.answer_s)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = False

    def submit(self, body: dict[str, Any], task: str) -> str:
        """Submit a task and return its id at the upstream.

        The same request of the same `task` is one task there, however often it is sent, if the
        upstream honours Idempotency-Key. Raises `TaskFailedError` on anything but an acceptance.
        """
        content = msgspec.json.encode(body)
        digest = hashlib.sha256(task.encode() + b"\n" + content).hexdigest()
        headers = {"content-type": "application/json", "idempotency-key": f"framewire-{digest}"}
        try:
            answer = self._http.post(
                f"{self._base}/v1/video/process", content=content, headers=headers
            )
        except httpx.TimeoutException as exc:
            raise TaskFailedError(
                "upstream_timeout", f"the upstream did not answer within {self._answer_s:g} s"
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise TaskFailedError("upstream_unreachable", "the upstream cannot be reached") from exc
        if not answer.is_success:
            raise _refusal(answer.status_code)
        try:
            accepted = msgspec.json.decode(answer.content, type=_Accepted)
        except msgspec.DecodeError as exc:
            raise TaskFailedError("upstream_invalid", "the upstream gave no task id") from exc
        if not _ID.fullmatch(accepted.id):
            raise TaskFailedError("upstream_invalid", "the upstream gave an impossible task id")
        return accepted.id

    def stream(self, task_id: str, offset: int, silence_s: float) -> Generator[bytes]:
        """Yield the stream's bytes from `offset` on, until it ends or `abort` is called.

        Raises `UpstreamCutError`, also after min(`silence_s`, 15 s) without a byte, or
        `TaskFailedError` when the upstream will not give the stream.
        """
        timeout = httpx.Timeout(self._answer_s, read=min(silence_s, _QUIET_S))
        headers = {"accept": "text/event-stream"}
        if offset:
            headers["last-event-id"] = str(offset)
        url = f"{self._base}{_TASKS}/{task_id}/stream"
        opened = False
        try:
            with self._http.stream("GET", url, headers=headers, timeout=timeout) as answer:
                self._check(answer)
                opened = True
                self._hold(answer)
                try:
                    yield from answer.iter_raw()
                finally:
                    self._hold(None)
        except (httpx.HTTPError, httpx.StreamError, OSError) as exc:
            raise UpstreamCutError(type(exc).__name__, opened=opened) from exc

    def abort(self) -> None:
        """End a running stream now; a later one does not begin."""
        with self._lock:
            self._aborted = True
            self._hang_up()

    def cancel(self, task_id: str) -> bool:
        """Ask the upstream to cancel the task; returns whether it took the request."""
        with self._client(min(self._answer_s, _CANCEL_S)) as http:
            for _ in range(_CANCEL_ATTEMPTS):
                with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
                    answer = http.post(f"{self._base}{_TASKS}/{task_id}/cancel")
                    if not answer.is_server_error:
                        return answer.is_success
        return False

    def close(self) -> None:
        self._http.close()

    def _client(self, timeout_s: float) -> httpx.Client:
        return httpx.Client(headers=self._headers, timeout=timeout_s, trust_env=False)

    def _check(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status == 200:
            return
        if answer.is_server_error or status in _PASSING:
            raise UpstreamCutError(f"status {status}", opened=False)
        if status in {204, 416}:
            raise TaskFailedError(
                "upstream_failed", "the upstream's stream ended without a finish_reason"
            )
        raise _refusal(status)

    def _hold(self, answer: httpx.Response | None) -> None:
        """Remember the connection, to be woken from another thread while it is being read."""
        with self._lock:
            stream = None if answer is None else answer.extensions.get("network_stream")
            self._socket = None if stream is None else stream.get_extra_info("socket")
            if self._aborted:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain socket's own: a TLS socket's would take its state from the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _refusal(status: int) -> TaskFailedError:
    code = "upstream_unavailable" if status >= 500 else "upstream_refused"
    return TaskFailedError(code, f"the upstream answered with status {status}")
