"""A Docker daemon of this run's own, and the images: base systems from Debian's packages."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.compose import ROOT
from tests.ports import die_with_parent

NEEDED = ("dockerd", "docker", "debootstrap")
BASE = "python:3.11-slim-bookworm"  # what the Dockerfile is built on
NGINX = "framewire-containers-nginx"
IMAGE = "framewire-containers"
_SUITE = "bookworm"
_PACKAGES = "ca-certificates,nginx-light,python3,python3-venv"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_START_S = 60.0


def missing() -> list[str]:
    """Return what this machine lacks for a run."""
    lacks = [name for name in NEEDED if shutil.which(name) is None]
    return lacks + ([] if os.geteuid() == 0 else ["root"])


class Docker:
    """The client of one daemon."""

    def __init__(self, socket: Path) -> None:
        # The builder without BuildKit is in every client, and needs no helper.
        self._environ = os.environ | {"DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "0"}

    def __call__(self, *arguments: str, timeout_s: float = 120.0) -> str:
        """Run `docker ARGUMENTS` and return what it says. Raises `SystemExit` with its error."""
        done = subprocess.run(
            ["docker", *arguments],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-3000:]
            raise SystemExit(f"docker {arguments[0]} failed:\n{said}")
        return done.stdout

    def answers(self) -> bool:
        command = ["docker", "version"]
        done = subprocess.run(command, env=self._environ, capture_output=True, check=False)
        return done.returncode == 0


@contextmanager
def daemon(directory: Path) -> Iterator[Docker]:
    """Run a daemon on a directory, without a bridge: containers have the host's network."""
    socket = Path(tempfile.mkdtemp(prefix="fw-docker-")) / "socket"  # a socket's path is short
    log = directory / "dockerd.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                "dockerd",
                f"--data-root={directory / 'docker'}",
                f"--exec-root={directory / 'exec'}",
                f"--pidfile={directory / 'docker.pid'}",
                f"--host=unix://{socket}",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
            ],
            stdout=out,
            stderr=out,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs yet
        )
    docker = Docker(socket)
    try:
        deadline_s = time.monotonic() + _START_S
        while not docker.answers():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"dockerd did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield docker
    finally:
        process.terminate()
        process.wait(60)
        # It leaves the mount of the host's network namespace behind.
        mounted = directory / "exec" / "netns" / "default"
        subprocess.run(["umount", str(mounted)], capture_output=True, check=False)
        shutil.rmtree(socket.parent, ignore_errors=True)


def make_bases(docker: Docker, directory: Path) -> None:
    """Make the base images of the Dockerfile and of nginx out of Debian's packages.

    Images that are there, from an earlier run on the same directory, are kept.
    """
    if all(docker("images", "--quiet", name) for name in (BASE, NGINX)):
        return
    root = directory / "base"
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
    _run([*command, *_mirror()], directory / "debootstrap.log")
    # This machine's ways to its package indexes: what pip and uv are told, and whom TLS trusts.
    for path in (_CERTIFICATES, "/etc/pip.conf"):
        if Path(path).is_file():
            shutil.copy(path, root / path.lstrip("/"))
    python = root / "usr/local/bin/python"
    python.symlink_to("/usr/bin/python3")
    archive = directory / "base.tar"
    _run(["tar", "-C", str(root), "-cf", str(archive), "."], directory / "tar.log")
    for name in (BASE, NGINX):
        certificates = f"ENV SSL_CERT_FILE={_CERTIFICATES}"
        docker("import", "--change", certificates, str(archive), name, timeout_s=300)
    archive.unlink()
    shutil.rmtree(root)


def build(docker: Docker) -> None:
    """Build the image as compose.yaml does, by the host's network."""
    options = ["--network", "host", "--target", "server", "--tag", IMAGE]
    docker("build", *options, str(ROOT), timeout_s=1200)


def _mirror() -> list[str]:
    """Return where this machine's apt fetches its packages, None said where it is not known."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split()[:1]


def _run(command: Sequence[str], log: Path) -> None:
    with log.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{log.read_text(errors='replace')[-3000:]}")
