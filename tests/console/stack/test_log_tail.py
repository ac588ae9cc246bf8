"""The end of a log and what follows, over both ways of rotation."""

from pathlib import Path

import pytest

from console.stack import log_files
from console.stack.log_tail import MAX_READ_BYTES, LogTail, appended, log_names


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "api.log"


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_the_last_lines_and_then_the_new_ones(log: Path) -> None:
    append(log, "1\n2\n3\n")
    tail = LogTail(log)
    assert tail.last(2) == ["2", "3"]
    assert tail.more() == []
    append(log, "4\n5")
    assert tail.more() == ["4"]  # 5 may go on
    append(log, "5\n")
    assert tail.more() == ["55"]


def test_a_log_that_is_not_there_yet_is_empty(log: Path) -> None:
    tail = LogTail(log)
    assert tail.last(3) == []
    append(log, "1\n")
    assert tail.more() == ["1"]


def test_no_lines_are_no_lines(log: Path) -> None:
    append(log, "1\n")
    tail = LogTail(log)
    assert tail.last(0) == []
    assert tail.more() == []


def test_both_kinds_of_rotation_are_followed(log: Path) -> None:
    append(log, "a long line of the first start\n")
    tail = LogTail(log)
    tail.last(1)
    log_files.put_aside(log)
    append(log, "by rename\n")
    assert tail.more() == ["by rename"]
    assert log_files.cut(log, max_bytes=1)
    append(log, "cut\n")
    assert tail.more() == ["cut"]


def test_a_huge_log_is_not_read_whole(log: Path) -> None:
    line = "x" * 99
    with log.open("w") as file:
        file.writelines(f"{i:05} {line}\n" for i in range(30_000))
    assert log.stat().st_size > 3 * MAX_READ_BYTES
    tail = LogTail(log)
    lines = tail.last(10**9)
    assert lines[-1].startswith("29999 ")
    assert all(len(found) == 105 for found in lines)  # none is torn
    assert 9_000 < len(lines) < 10_000
    append(log, "next\n")
    assert tail.more() == ["next"]


def test_a_line_without_an_end_is_bounded(log: Path) -> None:
    append(log, "y" * (3 * MAX_READ_BYTES))
    tail = LogTail(log)
    tail.last(1)
    for _ in range(5):
        tail.more()
    append(log, "\n")
    (line,) = tail.more()
    assert len(line) <= 2 * MAX_READ_BYTES


def test_roles_are_those_with_a_log(tmp_path: Path) -> None:
    for name in ("worker-1.log", "api.log", "api.log.1", "notes.txt"):
        (tmp_path / name).touch()
    assert log_names(tmp_path) == ["api", "worker-1"]
    append(tmp_path / "api.log", "hello\n")
    tails = {role: LogTail(tmp_path / f"{role}.log") for role in log_names(tmp_path)}
    assert list(appended(tails)) == [("api", "hello")]


def test_bytes_that_are_no_text_do_not_stop_it(log: Path) -> None:
    log.write_bytes(b"\xff\xfe\n")
    assert LogTail(log).last(1) == ["\ufffd\ufffd"]
