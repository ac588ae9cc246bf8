"""A real S3 for tests: one SeaweedFS for each process of a run, a bucket for each module."""

import itertools
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from streamproc.clients.clickhouse import client_factory
from streamproc.contract import env
from tests.ports import die_with_parent, free_ports, wait_for_port

_START_S = 60.0
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class S3Server(NamedTuple):
    """Where a server is and how to get in; `bucket` exists."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str = "us-east-1"

    @property
    def environ(self) -> dict[str, str]:
        return {
            env.S3_ENDPOINT: self.endpoint,
            env.S3_BUCKET: self.bucket,
            env.S3_KEY: self.access_key,
            env.S3_SECRET: self.secret_key,
            env.S3_REGION: self.region,
            env.S3_TRIED: "1",  # each of a hundred stores would be tried out for a second
        }

    @property
    def reader(self) -> "S3Server":
        """The same server for somebody who may read and list, and write nothing."""
        return self._replace(access_key=f"{self.access_key}-reader")

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )


@contextmanager
def seaweedfs(directory: Path) -> Iterator[S3Server]:
    """Run SeaweedFS on a directory, with one bucket, `framewire-tests`."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    server = S3Server(
        endpoint=f"http://127.0.0.1:{ports['s3.port']}",
        access_key=secrets.token_hex(8),
        secret_key=secrets.token_hex(16),
        bucket="framewire-tests",
    )
    identities = directory / "identities.json"
    actions = {
        server: ["Admin", "Read", "Write", "List", "Tagging"],
        server.reader: ["Read", "List"],
    }
    people = [
        {
            "name": who.access_key,
            "credentials": [{"accessKey": who.access_key, "secretKey": who.secret_key}],
            "actions": may,
        }
        for who, may in actions.items()
    ]
    identities.write_text(json.dumps({"identities": people}))
    with (directory / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("weed")),
                "-logtostderr=true",
                "server",
                f"-dir={directory}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=32",  # a new bucket takes seven volumes of the disk
                "-volume.max=0",
                "-filer=true",
                "-filer.disableHttp=true",
                "-s3=true",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={identities}",
                *(f"-{name}={port}" for name, port in ports.items()),
            ],
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs yet that could hold a lock
        )
    try:
        _make_bucket(server)
        yield server
    finally:
        process.kill()
        process.wait()


@contextmanager
def clickhouse_over_http(directory: Path) -> Iterator[int]:
    """Run ClickHouse's engine behind its HTTP interface (`tests.clickhouse`); yield the port."""
    (port,) = free_ports(1)
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.clickhouse", str(directory / "data"), str(port)],
            cwd=Path(__file__).parents[1],
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
        )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def seaweed(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The process's SeaweedFS: tests ask for `s3_server` or `new_bucket`."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="module")
def s3_server(seaweed: S3Server) -> S3Server:
    """SeaweedFS with an empty bucket of the module's own."""
    return _with_new_bucket(seaweed)


@pytest.fixture
def new_bucket(seaweed: S3Server) -> Callable[[], S3Server]:
    """Make an empty bucket of the process's server, as often as it is called."""
    return lambda: _with_new_bucket(seaweed)


@pytest.fixture(scope="session")
def chdb_path(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The one directory of this process's chDB: a process has one engine. Use a database each.

    A client is open all the time. The engine ends with the last one, and the next would load every
    table anew that a test has made: half of the time of all tests with tables.
    """
    directory = tmp_path_factory.mktemp("chdb")
    client = client_factory(f"chdb://{directory}?database=default")()
    yield directory
    client.close()


@pytest.fixture(scope="module")
def chdb_url(chdb_path: Path) -> str:
    """chDB with a database of the module's own."""
    return f"chdb://{chdb_path}?database=t_{secrets.token_hex(6)}"


def _with_new_bucket(server: S3Server) -> S3Server:
    own = server._replace(bucket=f"framewire-{secrets.token_hex(6)}")
    _make_bucket(own)
    return own


@cache
def _owner(server: S3Server) -> Any:
    """Return the client that makes all buckets of a server: it takes as long as they do."""
    return server.client()


def _make_bucket(server: S3Server) -> None:
    client = _owner(server._replace(bucket=""))
    deadline_s = time.monotonic() + _START_S
    for attempt in itertools.count():
        try:
            client.create_bucket(Bucket=server.bucket)
            client.put_object(Bucket=server.bucket, Key="probe", Body=b"")
            client.delete_object(Bucket=server.bucket, Key="probe")
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline_s:
                raise
            time.sleep(min(0.5, 0.05 * 2**attempt))
        else:
            return
