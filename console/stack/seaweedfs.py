"""SeaweedFS as the stack's S3: one `weed server` on loopback, with keys in an identities file."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from console.errors import StackError
from console.stack.child_process import ChildSpec
from console.stack.data_directory import write_private
from console.stack.ports import LOOPBACK
from console.stack.probes import answers
from console.stack.supervisor import Rules
from streamproc.contract.store_settings import StoreSettings

NAME = "seaweedfs"
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
# `weed` always waits 15 s in its shutdown. Acknowledged writes are already in its write-ahead log
# and its volume files, so it is killed after 1 s: kill -9 loses none of them.
_STOP_DEADLINE_S = 1.0
_VOLUME_SIZE_MB = 256
# There is only one master: the default of 10 s would only delay a restart by up to 20 s.
_ELECTION_TIMEOUT = "300ms"


def settings(ports: Mapping[str, int], access_key: str, secret_key: str) -> StoreSettings:
    """Return the settings of the stack's own S3; it is known to support conditional writes."""
    return StoreSettings(
        endpoint=f"http://{LOOPBACK}:{ports['seaweedfs-s3']}",
        key=access_key,
        secret=secret_key,
        addressing="path",
        tried=True,
    )


def spec(
    directory: Path, ports: Mapping[str, int], store: StoreSettings, environ: Mapping[str, str]
) -> ChildSpec:
    """Return the child. It is ready once it answers; its volumes may become ready later.

    Raises `StackError` if the `weed` program is not installed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    identities = directory / "identities.json"
    write_private(identities, msgspec.json.encode(_identities(store)))
    data = directory / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    return ChildSpec(
        rules=Rules(NAME, stop_deadline_s=_STOP_DEADLINE_S),
        command=_command(_program(), data, identities, ports),
        environ=environ,
        probe=answers(ports["seaweedfs-s3"], "/status"),
    )


def sockets(ports: Mapping[str, int]) -> list[Path]:
    """Return the Unix sockets that `weed` opens in /tmp and does not remove if it is killed."""
    port = {name.removeprefix("seaweedfs-"): number for name, number in ports.items()}
    names = [f"{part}-grpc-{port[f'{part}-grpc']}" for part in ("master", "volume", "filer", "s3")]
    names += [f"filer-{port['filer']}", f"s3-{port['s3']}"]
    return [Path("/tmp") / f"seaweedfs-{name}.sock" for name in names]  # noqa: S108 - weed's choice


def _identities(store: StoreSettings) -> dict[str, object]:
    return {
        "identities": [
            {
                "name": "framewire",
                "credentials": [{"accessKey": store.key, "secretKey": store.secret}],
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
