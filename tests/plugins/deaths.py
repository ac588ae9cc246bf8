"""What becomes of a run when one of its processes dies or hangs: it is said, and the rest goes on.

A process of a parallel run that dies takes its output with it. So each of them tells who ended it
(a fatal signal, SIGTERM, `os._exit`, a test that hangs where Python is not asked), and the run says
at once which test that was, and with what status the process ended.
"""

import faulthandler
import os
import signal
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, TextIO

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

_WORDS = "last_words"
_GRACE_S = 60.0
"""After a test's own limit, which a test that waits in native code does not notice."""


class FileScheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Files of tests, each to one process; a test that killed its process is not run again.

    xdist's own gives the whole file to the next process, with the test that kills it, and when
    that is the only one left it waits for ever (xdist 3.8).
    """

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test at which `node` died, if it did, and have others run the rest."""
        work = self.assigned_work.pop(node)
        left = {file: tests for file, tests in work.items() if not all(tests.values())}
        if not left:
            return None
        tests = next(iter(left.values()))
        crashed: str = next(test for test, is_done in tests.items() if not is_done)
        tests[crashed] = True
        self.workqueue.update({f: t for f, t in left.items() if not all(t.values())})
        self._give_all()
        return crashed

    def schedule(self) -> None:
        """Give work to all; a process with one test waits until it hears whether there is more."""
        super().schedule()
        self._give_all()

    def _give_all(self) -> None:
        for node in self.nodes:
            self._reschedule(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node in self.registered_collections:  # one that takes another's place may not be ready
            super()._reschedule(node)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling | None:
    return FileScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        path = Path(config.workerinput[_WORDS])
        config.pluginmanager.register(_LastWords(path), "last words")
    elif config.getoption("dist", "no") != "no":
        config.pluginmanager.register(_Obituaries(config), "obituaries")


class _Obituaries:
    """In the process that runs no test itself."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal: Any = config.pluginmanager.getplugin("terminalreporter")
        self._folder = TemporaryDirectory(prefix="pytest-last-words-")

    def pytest_configure_node(self, node: WorkerController) -> None:
        node.workerinput[_WORDS] = str(self._words(node))

    def pytest_testnodedown(self, node: WorkerController, error: object | None) -> None:
        if error:
            status = _status(node)
            self._terminal.write_line(f"\n{node.gateway.id} ended: {status}")
            self._terminal.write(self._words(node).read_text(errors="replace"))

    def pytest_unconfigure(self) -> None:
        self._folder.cleanup()

    def _words(self, node: WorkerController) -> Path:
        return Path(self._folder.name, node.gateway.id)

    def pytest_handlecrashitem(self, crashitem: str) -> None:
        self._terminal.write_line(f"\nit ran {crashitem}")


class _LastWords:
    """In each process that runs tests. Each has a file: two that die at once would share a line."""

    def __init__(self, path: Path) -> None:
        self._out: TextIO = path.open("w")
        self._pid = os.getpid()
        self._exit = os._exit
        os._exit = self._tell_and_exit

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        faulthandler.unregister(signal.SIGTERM)  # a test may have had a handler of its own
        faulthandler.register(signal.SIGTERM, self._out, all_threads=True, chain=True)
        faulthandler.dump_traceback_later(limit_s(item) + _GRACE_S, exit=True, file=self._out)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _tell_and_exit(self, status: int) -> NoReturn:
        if os.getpid() == self._pid:  # a forked child may
            print("os._exit in a process of tests:", file=self._out)
            traceback.print_stack(file=self._out)
            self._out.flush()
        self._exit(status)


def limit_s(item: pytest.Item) -> float:
    """Return the test's own limit: of its mark, or that of all."""
    mark = item.get_closest_marker("timeout")
    given = (*mark.args, mark.kwargs.get("timeout"))[0] if mark is not None else None
    return float(given or item.config.getini("timeout"))


def _status(node: WorkerController) -> str:
    """Return how a process ended, in words; execnet keeps it for processes that it started."""
    process = getattr(getattr(node.gateway, "_io", None), "popen", None)
    if process is None:
        return "nobody knows how"
    try:
        status = process.wait(10)
    except subprocess.TimeoutExpired:
        return "it hung up, and lives"
    return f"signal {-status}" if status < 0 else f"status {status}"
