"""Skipped tests that say what is missing, and a list of the promises that were not tested."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence

import pytest

PREFIX = "not tested here"


def find_program(*names: str) -> str | None:
    """Return the path of the first program there is; Debian keeps servers in /usr/sbin."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def needs_program(name: str, *others: str, promise: str) -> pytest.MarkDecorator:
    """Skip a test without the program `name` (or one of `others`, which serve as well).

    `promise` is what README or docs/ promise and stays untested then: it is said at the run's end.
    """
    reason = f"{PREFIX}: {promise} ({name} is not installed)"
    return pytest.mark.skipif(find_program(name, *others) is None, reason=reason)


def needs_variable(name: str, *, promise: str) -> pytest.MarkDecorator:
    """Skip a test unless the variable `name` is set."""
    reason = f"{PREFIX}: {promise} ({name} is not set)"
    return pytest.mark.skipif(name not in os.environ, reason=reason)


def untested(skips: Sequence[tuple[str, int, str]]) -> dict[str, int]:
    """Return the promises among skips' (file, line, reason), with their counts of tests."""
    reasons = [reason.removeprefix("Skipped: ") for _, _, reason in skips]
    return dict(Counter(r.removeprefix(f"{PREFIX}: ") for r in reasons if r.startswith(PREFIX)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    found = untested([report.longrepr for report in skipped if isinstance(report.longrepr, tuple)])
    if not found:
        return
    terminalreporter.section("promised, and not tested on this machine")
    for promise, n_tests in sorted(found.items()):
        terminalreporter.line(f"{n_tests:4d}  {promise}")
