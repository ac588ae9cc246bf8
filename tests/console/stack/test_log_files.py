"""Logs are bounded while their writers go on, and the last few are kept."""

from pathlib import Path

import pytest

from console.stack import log_files


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "api.log"


def contents(log: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(log.parent.iterdir())}


def test_a_log_that_is_cut_goes_on_where_its_writer_is(log: Path) -> None:
    with log.open("ab", buffering=0) as child:
        child.write(b"first\n")
        assert log_files.cut(log, max_bytes=5)
        child.write(b"second\n")
    assert contents(log) == {"api.log": "second\n", "api.log.1": "first\n"}


def test_what_is_kept_is_bounded_in_size_and_number(log: Path) -> None:
    with log.open("ab", buffering=0) as child:
        for number in range(50):
            child.write(b"%02d\n" % number * 10)
            log_files.cut(log, max_bytes=50, n_kept=2)
    kept = contents(log)
    assert set(kept) == {"api.log", "api.log.1", "api.log.2"}
    assert all(len(text) <= 80 for text in kept.values())
    assert "49" in kept["api.log"] + kept["api.log.1"]


def test_a_small_log_and_a_missing_one_are_left_alone(log: Path) -> None:
    assert not log_files.cut(log)
    log.write_text("x")
    assert not log_files.cut(log, max_bytes=1)
    assert contents(log) == {"api.log": "x"}


def test_an_earlier_runs_log_is_put_aside(log: Path) -> None:
    for run in ("one", "two", "three"):
        log_files.put_aside(log, n_kept=2)
        log.write_text(run)
    log_files.put_aside(log, n_kept=2)
    assert contents(log) == {"api.log.1": "three", "api.log.2": "two"}
