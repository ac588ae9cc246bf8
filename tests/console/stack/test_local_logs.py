"""Logs of the local stack: what was appended, and of the stack that is shown alone."""

from pathlib import Path

from console.stack.local_logs import LAST_LINES, LocalLogs, logs_of


def test_the_last_lines_come_first_then_what_is_appended(tmp_path: Path) -> None:
    logs = LocalLogs(tmp_path / "logs")
    assert logs.read() == []
    (tmp_path / "logs").mkdir()
    api, worker = tmp_path / "logs/api.log", tmp_path / "logs/worker-1.log"
    api.write_text("".join(f"{n}\n" for n in range(LAST_LINES + 5)))
    assert logs.read() == [("api", str(n)) for n in range(5, LAST_LINES + 5)]
    with api.open("a") as file:
        file.write("more\nhalf")
    worker.write_text("begun\n")
    assert logs.read() == [("api", "more"), ("worker-1", "begun")]
    with api.open("a") as file:
        file.write(" a line\n")
    assert logs.read() == [("api", "half a line")]
    assert logs.read() == []


def test_another_apis_logs_are_not_here(tmp_path: Path) -> None:
    assert logs_of("http://127.0.0.1:1", {"FRAMEWIRE_DATA": str(tmp_path)}) is None
