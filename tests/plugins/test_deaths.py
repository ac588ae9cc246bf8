"""A process of tests that dies: its test is named and fails once, all others run, the run ends."""

import re

import pytest

from tests.plugins.deaths import limit_s
from tests.plugins.inner_run import run_pytest

WAYS = {
    "a_signal": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    "an_exit": ("os._exit(7)", "status 7"),
    "a_polite_signal": ("os.kill(os.getpid(), signal.SIGTERM)", "signal 15"),
    "a_fault": ("os.abort()", "signal 6"),
}


@pytest.fixture(scope="module")
def said(processes: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run prints in which each way ends a process amid a file, and with a file's only test.

    The last file of all ends its process when no other is left.
    """
    folder = tmp_path_factory.mktemp("deaths")
    for name in ("first", "second"):
        text = "def test_before(): ...\ndef test_after(): ...\n"
        (folder / f"test_{name}.py").write_text(text)
    for way, (action, _) in WAYS.items():
        dies = f"def test_dies(): {action}\n"
        amid = f"import os, signal\ndef test_a(): ...\n{dies}def test_z(): ...\n"
        (folder / f"test_middle_{way}.py").write_text(amid)
        (folder / f"test_zzz_{way}.py").write_text(f"import os, signal\n{dies}")
    return run_pytest(folder, "deaths", "-n2", "--dist=loadfile", "--max-worker-restart=20")


def test_what_kills_a_process_fails_once_and_all_else_runs(said: str) -> None:
    assert re.search(rf"\b{2 * len(WAYS)} failed, {4 + 2 * len(WAYS)} passed\b", said), said


@pytest.mark.parametrize("way", WAYS)
def test_it_is_said_who_ended_a_process_and_how(said: str, way: str) -> None:
    _, status = WAYS[way]
    assert said.count(f"ended: {status}") == 2, said
    assert f"it ran test_middle_{way}.py::test_dies" in said
    assert f"it ran test_zzz_{way}.py::test_dies" in said
    if way != "a_signal":  # nobody can say a last word then
        assert re.search(rf'test_middle_{way}.py", line \d+,? in test_dies', said), said


@pytest.mark.timeout(600)
def test_a_test_that_may_take_longer_is_not_ended_before(request: pytest.FixtureRequest) -> None:
    assert limit_s(request.node) == 600


def test_the_limit_of_all_is_that_of_a_test_without_a_mark(request: pytest.FixtureRequest) -> None:
    assert limit_s(request.node) == 240
