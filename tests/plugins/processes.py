"""Marks that fixtures set, and a guard that keeps them true.

A test that starts an engine, or has one in its process, asks for `engines` (mostly through `kafka`,
`s3_server` or `chdb_path`) and is marked `stack`. One that starts another process asks for
`processes` and is marked `process`. One that draws the whole console over an HTTP server asks for
`screens` and is marked `screen`. `make unit` runs none of these. One with three brokers asks for
`cluster`, is marked so, and is run by `make kafka`. The decoder's own children are always allowed;
any other process that an unmarked test starts is refused where it would start.
"""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.class_cache import use_class_cache

MARKS = {"engines": "stack", "processes": "process", "screens": "screen", "cluster": "cluster"}
_MAY_START = ("stack", "process", "chaos")
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
    if event != "subprocess.Popen" or _running is None:
        return
    if any(_running.get_closest_marker(mark) for mark in _MAY_START):
        return
    command = arguments[1] if isinstance(arguments[1], list | tuple) else [arguments[1]]
    if any(str(word) in _ALLOWED for word in command):
        return
    raise RuntimeError(f"{_running.nodeid} starts a process: it must ask for `processes`")


sys.addaudithook(_refuse_unmarked)
