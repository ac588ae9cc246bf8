"""The jars: only those that the lock names, byte for byte."""

import shutil
from pathlib import Path

import pytest

from streamproc.broker import jars
from streamproc.broker.errors import JarsUnavailableError


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
