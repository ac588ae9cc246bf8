"""The order of files: those that take long come first, so that no worker ends with one of them.

The other files keep the random order of pytest-randomly, as do the tests within every file.
`pytest --record-seconds` writes the table anew from what the run took.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

_TABLE = Path(__file__).with_name("file_seconds.json")
_LONG_S = 5.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-seconds",
        action="store_true",
        help=f"write the seconds of every long file to {_TABLE.name}, by which files are ordered",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(Path(config.rootpath)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by the files' seconds; the sort is stable, so the rest stays as it was shuffled."""
    seconds = json.loads(_TABLE.read_text())
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0))


class _Recorder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        known = json.loads(_TABLE.read_text())
        kept = {name: s for name, s in known.items() if (self._root / name).exists()}
        found = {name: round(seconds) for name, seconds in self._seconds.items()}
        table = {name: s for name, s in (kept | found).items() if s >= _LONG_S}
        ordered = dict(sorted(table.items(), key=lambda row: (-row[1], row[0])))
        _TABLE.write_text(json.dumps(ordered, indent=2) + "\n")
