"""The jars: only those that the lock names, byte for byte."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from streamproc.embedded_kafka import jars
from streamproc.embedded_kafka.errors import JarsUnavailableError


@pytest.fixture
def resolved(tmp_path: Path) -> Path:
    """A copy of the real, resolved directory."""
    jars.class_path()
    real = Path((jars.cache_dir() / "checked").read_text().split("\n")[1])
    copy = tmp_path / "env"
    shutil.copytree(real, copy)
    return copy


def test_what_was_resolved_is_what_is_pinned(resolved: Path) -> None:
    jars._verify(resolved, jars._pinned())
    assert len(jars._pinned()) == 46


def test_a_changed_jar_is_refused(resolved: Path) -> None:
    jar = next((resolved / "modules").glob("kafka-clients-*.jar"))
    jar.write_bytes(jar.read_bytes() + b"x")
    with pytest.raises(JarsUnavailableError, match=r"kafka-clients-.* differs from the pinned"):
        jars._verify(resolved, jars._pinned())


def test_a_missing_jar_is_refused(resolved: Path) -> None:
    next((resolved / "modules").glob("lz4-java-*.jar")).unlink()
    with pytest.raises(JarsUnavailableError, match=r"lz4-java-.* was not resolved"):
        jars._verify(resolved, jars._pinned())


def test_a_jar_too_many_is_refused(resolved: Path) -> None:
    (resolved / "jars" / "surprise.jar").write_bytes(b"")
    with pytest.raises(JarsUnavailableError, match=r"not pinned: surprise\.jar"):
        jars._verify(resolved, jars._pinned())


@pytest.fixture
def empty_cache(
    processes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A cache without jars; Maven's repository has them, so that nothing is downloaded.

    Where there is a JDK, jgo asks its `jar` program about each of them.
    """
    jars.class_path()
    found = [jars.cache_dir() / "repository", jars._users_repository()]
    real = next(r for r in found if (r / "org/apache/kafka/kafka_2.13").exists())
    monkeypatch.setattr(jars, "_users_repository", lambda: real)
    return tmp_path / "cache"


def test_processes_that_start_together_resolve_once(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = []

    def resolve(*arguments: Any) -> Path:
        resolved.append(arguments)
        return really(*arguments)

    really = jars._resolve
    monkeypatch.setattr(jars, "_resolve", resolve)
    with ThreadPoolExecutor(3) as threads:
        paths = list(threads.map(jars.class_path, [empty_cache] * 3))
    assert len(set(paths)) == len(resolved) == 1


def test_what_an_interrupted_download_left_is_thrown_away(empty_cache: Path) -> None:
    torn = jars.class_path(empty_cache)
    (empty_cache / "checked").unlink()
    for jar in Path(torn.partition("/jars/")[0]).glob("modules/kafka-clients-*.jar"):
        jar.unlink()  # it may be the same file as Maven's
        jar.write_bytes(b"PK")
    assert jars.class_path(empty_cache) == torn
    jars._verify(Path(torn.partition("/jars/")[0]), jars._pinned())
