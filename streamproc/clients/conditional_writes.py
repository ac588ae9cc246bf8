"""Test whether a store honours conditional writes (`If-None-Match: *`).

A request, a segment and a staged source are each written once, by the first writer, and several
processes may try at the same time. A store that ignores the condition, or does not enforce it for
concurrent writes, would keep the last write and report to every writer that it was the first.
"""

import contextlib
import secrets
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import ClientError

from streamproc.clients.s3_errors import FAILURES, code_of, status_of
from streamproc.contract import env
from streamproc.contract.object_keys import content_md5

N_AT_ONCE: Final = 8
"""Concurrent writers of one key; the client needs as many connections, and no retries."""
_N_TRIES: Final = 4
PREFIX: Final = ".framewire/conditional/"
REFUSAL: Final = (
    "S3 does not honour If-None-Match: of two writers of one key both are told that they were the"
    f" first. Take another store, or set {env.S3_UNCONDITIONAL}=1 where there is one writer alone"
    " (docs/operations.md says what no longer holds then)."
)
_TAKEN: Final = frozenset({409, 412})
_UNKNOWN: Final = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})


def honours_conditions(client: Any, bucket: str, *, n_rounds: int = 1) -> bool:
    """Write one key twice, then others eight times at once; return whether no key had two winners.

    A store with a race in concurrent writes has more than one winner often, but not always:
    `n_rounds` is the number of keys written concurrently. SeaweedFS takes up to 2 s for each. The
    objects are deleted afterwards. Raises one of `FAILURES` if the store does not answer.
    """
    keys = [f"{PREFIX}{secrets.token_hex(8)}" for _ in range(_N_TRIES + n_rounds)]
    written: list[str] = []
    try:
        return _refuses_the_second(client, bucket, keys[:_N_TRIES], written) and all(
            _winners(client, bucket, key, written) <= 1 for key in keys[_N_TRIES:]
        )
    finally:
        for key in written:
            with contextlib.suppress(*FAILURES):  # deleting may be forbidden
                client.delete_object(Bucket=bucket, Key=key)


def _refuses_the_second(client: Any, bucket: str, keys: Sequence[str], written: list[str]) -> bool:
    """Write one key twice; if the store is busy, try again with another key."""
    for key in keys:
        written.append(key)
        with _tolerant(is_last=key == keys[-1]):
            if not _won(client, bucket, key, b"first"):
                return False
            break
    for n in range(_N_TRIES):
        with _tolerant(is_last=n == _N_TRIES - 1):
            return not _won(client, bucket, key, b"second")
    raise AssertionError("the last try returns or raises")


@contextlib.contextmanager
def _tolerant(*, is_last: bool) -> Iterator[None]:
    """Suppress a busy store's error (5xx), except on the last try."""
    try:
        yield
    except ClientError as exc:
        if is_last or status_of(exc) < 500:
            raise


def _winners(client: Any, bucket: str, key: str, written: list[str]) -> int:
    """Return how many concurrent writers of the key were told that they were the first."""
    written.append(key)
    together = threading.Barrier(N_AT_ONCE)

    def write(body: bytes) -> bool:
        together.wait()
        try:
            return _won(client, bucket, key, body)
        except ClientError as exc:
            if status_of(exc) < 500:
                raise
            return False  # busy: the other winners are counted

    bodies: Sequence[bytes] = [f"writer {n}".encode() for n in range(N_AT_ONCE)]
    with ThreadPoolExecutor(N_AT_ONCE, thread_name_prefix="conditional") as threads:
        return sum(threads.map(write, bodies))


def _won(client: Any, bucket: str, key: str, body: bytes) -> bool:
    try:
        client.put_object(
            Bucket=bucket, Key=key, Body=body, ContentMD5=content_md5(body), IfNoneMatch="*"
        )
    except ClientError as exc:
        if status_of(exc) in _TAKEN or status_of(exc) == 501 or code_of(exc) in _UNKNOWN:
            return False
        raise
    return True
