"""What a run of benchmarks says at its end, and its exit code: with made-up benchmarks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import shared_stack
from benchmarks.report import require_clip, require_engines
from benchmarks.suite import Suite

BENCHMARKS = {
    "whole": "print('12 fps')",
    "partly": "print('3 MiB/s'); not_measured('nginx', 'install nginx'); print('4 MiB/s')",
    "lacking": "end_unmeasured('all', 'install it'); print('never')",
    "failing": "raise SystemExit('no figure')",
    "refusing": "raise SystemExit(2)",
    "raising": "1 / 0",
    "dying": "import os; os.kill(os.getpid(), 9)",
}


@pytest.fixture
def suite(processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    package = tmp_path / "made_up"
    package.mkdir()
    for name, body in BENCHMARKS.items():
        line = "from benchmarks.report import end_unmeasured, not_measured\n"
        (package / f"{name}.py").write_text(line + body)
    monkeypatch.chdir(tmp_path)
    return Suite("made_up")


def test_what_lacks_something_is_named_and_is_no_failure(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("whole", "partly", "lacking"):
        suite.run(name)
    suite.leave_out(["large"], "part of the long form")
    assert suite.exit_code == 0
    assert "not measured: nginx (install nginx)\n4 MiB/s\n" in capsys.readouterr().out
    whole, partly, lacking, large = (str(outcome) for outcome in suite.outcomes)
    assert "measured in" in whole
    assert "but not" not in whole
    assert "measured in" in partly
    assert partly.endswith("but not: nginx (install nginx)")
    assert lacking == "not measured: all (install it)"
    assert large == "not measured: part of the long form"
    assert all(line in suite.summary() for line in (whole, partly, lacking, large))


@pytest.mark.parametrize("name", ["failing", "refusing", "raising", "dying"])
def test_a_failure_is_the_exit_code_and_stops_no_other(suite: Suite, name: str) -> None:
    suite.run(name)
    suite.run("whole")
    suite.run("lacking")
    assert suite.exit_code == 1
    assert [outcome.failed for outcome in suite.outcomes] == [True, False, False]
    assert "FAILED" in suite.summary()
    assert "measured in" in suite.summary()


def test_a_benchmark_gets_its_arguments(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "made_up" / "echo.py").write_text(
        "import sys; print('not measured:', *sys.argv[1:])"
    )
    suite.run("echo", "--rounds", "2")
    assert suite.outcomes[0].lacks == ("--rounds 2",)


def test_a_clip_or_an_engine_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require_clip(Path(__file__))
    require_engines()
    monkeypatch.setattr(report, "ENGINES", ("sys", "no_such_engine"))
    monkeypatch.setattr(report, "PROGRAMS", ("python", "nor-this"))
    acts: tuple[Callable[[], None], ...] = (
        lambda: require_clip(tmp_path / "signs.mp4"),
        require_engines,
    )
    for act in acts:
        with pytest.raises(SystemExit) as ended:
            act()
        assert ended.value.code == report.NOT_MEASURED
    told = capsys.readouterr().out
    assert "signs.mp4" in told
    assert "no_such_engine, nor-this not found" in told
    assert "sys," not in told


def test_a_shared_stack_that_does_not_start_leaves_the_benchmarks_to_their_own(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PROGRAMS", ("no-such-engine",))
    with shared_stack(suite, tmp_path / "log", workers=0) as arguments:
        suite.run("whole", *arguments)
    assert arguments == []
    assert suite.exit_code == 0


def test_a_shared_stack_that_does_not_stop_is_a_failure_and_stops_no_other(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def never_ends(folder: Path, **_: int) -> Iterator[list[str]]:
        yield ["--stack", str(folder)]
        raise SystemExit("the stack did not stop")

    monkeypatch.setattr("benchmarks.__main__.lent_stack", never_ends)
    with shared_stack(suite, tmp_path / "log", workers=0) as arguments:
        suite.run("whole", *arguments)
    suite.run("whole")
    assert [outcome.failed for outcome in suite.outcomes] == [False, True, False]
    assert suite.exit_code == 1
