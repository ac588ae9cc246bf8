"""Marks that fixtures set, and a guard that keeps them true.

A test that starts an engine, or has one in its process, asks for `engines` (mostly through `kafka`,
`s3_server` or `chdb_path`) and is marked `stack`. One that starts another process asks for
`processes` and is marked `process`. One that draws the whole console over an HTTP server asks for
`screens` and is marked `screen`. One that reads a network that ships, to run it with OpenVINO, asks
for `networks` (mostly through `detector` and the like) and is marked `network`. `make unit` runs
none of these. One with three brokers asks for `cluster`, is marked so, and is run by `make kafka`.
The decoder's own children are always allowed; any other process that an unmarked test starts is
refused where it would start, and such a network where it would be read.
"""

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.class_cache import use_class_cache

MARKS = {
    "engines": "stack",
    "processes": "process",
    "screens": "screen",
    "networks": "network",
    "cluster": "cluster",
}
_MAY_START = ("stack", "process", "chaos")
_MAY_READ = (*_MAY_START, "screen", "network")
_NETWORKS = Path(__file__).parents[2] / "models" / "weights"
_ALLOWED = ("streamproc.source.sandbox.fork_server", "streamproc.preview")
_running: pytest.Item | None = None


@pytest.fixture(scope="session")
def engines() -> None:
    """Asked for by whatever starts Apache Kafka, SeaweedFS or ClickHouse's engine."""
    use_class_cache()


@pytest.fixture(scope="session")
def processes() -> None:
    """Asked for by whatever starts a process that is neither an engine nor a decoder."""


@pytest.fixture(scope="session")
def screens() -> None:
    """Asked for by whatever draws the whole console, which takes a second or more."""


@pytest.fixture(scope="session")
def networks() -> None:
    """Asked for by whatever runs a network that ships: it takes seconds to compile."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, mark in MARKS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _running  # noqa: PLW0603 - an audit hook has no other way to know
    _running = item
    try:
        return (yield)
    finally:
        _running = None


def _refuse_unmarked(event: str, arguments: tuple[Any, ...]) -> None:
    if _running is None:
        return
    if event == "subprocess.Popen":
        _refuse_start(_running, arguments[1])
    elif event == "open":
        _refuse_network(_running, arguments[0])


def _refuse_start(test: pytest.Item, words: Any) -> None:
    command = words if isinstance(words, list | tuple) else [words]
    if _is_marked(test, _MAY_START) or any(str(word) in _ALLOWED for word in command):
        return
    raise RuntimeError(f"{test.nodeid} starts a process: it must ask for `processes`")


def _refuse_network(test: pytest.Item, path: Any) -> None:
    if not (isinstance(path, str) and path.endswith(".xml")) or _is_marked(test, _MAY_READ):
        return
    is_by_manifest = (
        frame.f_code.co_filename.endswith("/models/manifest.py")
        for frame, _ in traceback.walk_stack(None)
    )
    if Path(path).resolve().parent == _NETWORKS and any(is_by_manifest):
        raise RuntimeError(f"{test.nodeid} reads a network: it must ask for `networks`")


def _is_marked(test: pytest.Item, marks: tuple[str, ...]) -> bool:
    return any(test.get_closest_marker(mark) for mark in marks)


sys.addaudithook(_refuse_unmarked)
