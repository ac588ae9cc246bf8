"""Java's own cache of Kafka's loaded and linked classes: a broker starts with half of the CPU time.

The first process of a run that needs a broker has the cache made beside it: a broker is started,
ended, and its classes are written, 65 MB, which takes ten seconds of CPU time once for each version
of Kafka and Java. Whoever starts a broker later uses it, `framewire up` as well; until then, and
where it does not fit, Java loads the classes from the jars. `python -m tests.class_cache` makes it.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from streamproc.embedded_kafka import jars
from streamproc.embedded_kafka.node import Node, command
from tests.ports import die_with_parent, free_ports, wait_for_port

_OPTIONS = "JDK_JAVA_OPTIONS"
_IF_KNOWN = "-XX:+IgnoreUnrecognizedVMOptions"  # another Java may be older


_makers: list[subprocess.Popen[bytes]] = []


def use_class_cache() -> None:
    """Name the cache to every Java that this process starts; have it made when there is none."""
    if _OPTIONS in os.environ:
        return
    cache = _path()
    if cache.exists():
        os.environ[_OPTIONS] = f"{_IF_KNOWN} -XX:AOTCache={cache}"
    elif not _makers:
        _makers.append(_maker())


def _maker() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
    )


def make_class_cache() -> None:
    """Make it, unless another process does. Nothing is left where that fails."""
    cache = _path()
    with cache.with_suffix(".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not cache.exists():
            with tempfile.TemporaryDirectory() as directory:
                made = Path(directory) / cache.name
                _train(Path(directory), made)
                new = cache.with_suffix(".new")
                new.write_bytes(made.read_bytes())
                new.replace(cache)


def _path() -> Path:
    """Return the place of the cache that fits these jars and this Java."""
    java = jars.java()
    release = (java.parents[1] / "release").read_bytes()
    digest = hashlib.sha256(f"{jars.class_path()} {java}".encode() + release).hexdigest()[:16]
    return jars.cache_dir() / f"classes-{digest}.aot"


def _train(directory: Path, made: Path) -> None:
    port, controller_port = free_ports(2)
    argv = command(Node(directory / "kafka", port, controller_port))
    broker = subprocess.Popen(
        [argv[0], f"-XX:AOTCacheOutput={made}", *argv[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
    )
    try:
        wait_for_port(port, while_=lambda: broker.poll() is None)
        broker.terminate()
        broker.wait(120)
    finally:
        broker.kill()
        broker.wait()


if __name__ == "__main__":
    make_class_cache()
