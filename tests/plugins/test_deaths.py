"""A process of tests that dies: its test is named and fails once, all others run, the run ends."""

import re
from pathlib import Path

import pytest

from tests.plugins.inner_run import run_pytest

WAYS = {
    "a_signal": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    "an_exit": ("os._exit(7)", "status 7"),
    "a_polite_signal": ("os.kill(os.getpid(), signal.SIGTERM)", "signal 15"),
    "a_fault": ("os.abort()", "signal 6"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_kills_a_process_fails_once_and_all_else_runs(
    processes: None, tmp_path: Path, way: str
) -> None:
    action, status = WAYS[way]
    for name in ("first", "second"):
        text = "def test_before(): ...\ndef test_after(): ...\n"
        (tmp_path / f"test_{name}.py").write_text(text)
    body = f"import os, signal\ndef test_a(): ...\ndef test_dies(): {action}\ndef test_z(): ...\n"
    (tmp_path / "test_middle.py").write_text(body)
    (tmp_path / "test_zzz_last.py").write_text(f"import os, signal\ndef test_dies(): {action}\n")
    said = run_pytest(tmp_path, "deaths", "-n", "2", "--dist", "loadfile")
    assert re.search(r"\b2 failed, 6 passed\b", said), said
    assert said.count(f"ended: {status}") == 2
    assert "it ran test_middle.py::test_dies" in said
    assert "it ran test_zzz_last.py::test_dies" in said
    if way != "a_signal":  # nobody can say a last word then
        assert re.search(r'test_middle.py", line \d+,? in test_dies', said), said
