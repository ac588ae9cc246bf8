"""Bucket set-up (`python -m streamproc bucket`): creates a missing bucket and tests the store.

It succeeds once objects can be written and read, and conditional writes are honoured. Until then it
retries for a while; then it fails with a sentence that gives the cause.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from streamproc.clients.conditional_writes import N_AT_ONCE, REFUSAL, honours_conditions
from streamproc.clients.s3 import open_client
from streamproc.clients.s3_errors import FAILURES, Trouble, code_of, diagnose, is_missing_bucket
from streamproc.contract.object_keys import content_md5
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import StreamprocError

EXIT_AWAY: Final = 3  # may be temporary
EXIT_REFUSED: Final = 4  # a setting or a permission must be changed
EXIT_UNFIT: Final = 5  # another store is needed
READY_KEY: Final = ".framewire/ready"
_READY: Final = b"ready"
_WAIT_S: Final = 3.0
_N_ROUNDS: Final = 3
_PAUSE_S: Final = (0.05, 0.5)
_OWN: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists", "OperationAborted"})
_WANTS_PLACE: Final = frozenset(
    {"IllegalLocationConstraintException", "InvalidLocationConstraint", "MissingConstraint"}
)


class UnusableStoreError(StreamprocError):
    """The store answers, but is unusable with this configuration."""


def main(argv: Sequence[str]) -> int:
    """Return 0, 2 (invalid setting) or an exit code from above, with a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m streamproc bucket")
    parser.add_argument(
        "--wait", type=float, default=_WAIT_S, metavar="SECONDS", help="how long to try again"
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        settings = StoreSettings.from_environ(os.environ)
        client = open_client(
            settings,
            connect_timeout=2,
            read_timeout=20,
            retries={"total_max_attempts": 1},
            max_pool_connections=N_AT_ONCE,
        )
    except SettingError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    trouble = make_ready_within(client, settings, args.wait)
    client.close()
    if trouble is None:
        return 0
    where = settings.endpoint or "AWS"
    sys.stderr.write(f"{where}, bucket {settings.bucket}: {trouble.sentence}\n")
    if trouble.sentence == REFUSAL:
        return EXIT_UNFIT
    return EXIT_REFUSED if trouble.lasting else EXIT_AWAY


def make_ready_within(client: Any, settings: StoreSettings, wait_s: float) -> Trouble | None:
    """Retry `make_ready` until it succeeds or the time is over; return the last trouble."""
    deadline_s = time.monotonic() + wait_s
    pause_s, longest_s = _PAUSE_S
    while True:
        try:
            make_ready(client, settings)
        except UnusableStoreError as exc:
            return Trouble(str(exc), lasting=True)
        except FAILURES as exc:
            trouble = diagnose(client, settings.bucket, exc)
        else:
            return None
        if time.monotonic() >= deadline_s:
            return trouble
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_s)


def make_ready(client: Any, settings: StoreSettings) -> None:
    """Create the bucket if missing, and test it.

    Raises `UnusableStoreError`, or one of `FAILURES`.
    """
    bucket = settings.bucket
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as exc:
        if not is_missing_bucket(exc):
            raise
        _create(client, bucket, settings.region)
    client.put_object(Bucket=bucket, Key=READY_KEY, Body=_READY, ContentMD5=content_md5(_READY))
    if client.get_object(Bucket=bucket, Key=READY_KEY)["Body"].read() != _READY:
        raise UnusableStoreError("S3 returned different bytes than were stored.")
    if settings.unconditional or settings.tried:
        return
    if not honours_conditions(client, bucket, n_rounds=_N_ROUNDS):
        raise UnusableStoreError(REFUSAL)


def _create(client: Any, bucket: str, region: str) -> None:
    """Create the bucket, with a region if the store requires one; an existing one is no error."""
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    for options in ({}, place):
        try:
            client.create_bucket(Bucket=bucket, **options)
        except ClientError as exc:
            if code_of(exc) in _OWN:
                return
            if code_of(exc) == "AccessDenied":
                raise UnusableStoreError(
                    "S3 has no such bucket, and the key may not make one."
                ) from exc
            if options or code_of(exc) not in _WANTS_PLACE:
                raise
        else:
            return
