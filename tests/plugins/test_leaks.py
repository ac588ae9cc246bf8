"""What is left open fails a test of the same file; nothing is kept of an app that is gone."""

import asyncio
import re
import weakref
from pathlib import Path

from textual.app import App

from tests.plugins.inner_run import run_pytest
from tests.plugins.leaks import collect, forget_drawn

_LEAVES_OPEN = """
import gc, socket

def test_leaves_a_socket_open():
    gc.disable()
    ring = [socket.socket()]
    ring.append(ring)

def test_of_the_same_file():
    gc.enable()
"""

_LEAVES_THE_FIXTURE_OPEN = """
import gc, socket
import pytest

@pytest.fixture
def ring():
    gc.disable()
    ring = [socket.socket()]
    ring.append(ring)
    return ring

def test_has_a_fixture(ring):
    pass
"""

_KEEPS = """
import gc, socket, sys

def test_keeps_a_socket():
    gc.disable()
    ring = [socket.socket()]
    ring.append(ring)
    sys.kept = [ring]
"""

_LETS_GO = """
import sys

async def never():
    pass

def test_lets_go():
    ring = [never()]
    ring.append(ring)
    sys.kept.append(ring)
    sys.kept.clear()
"""

_COLLECTS = """
import gc

def test_collects():
    gc.enable()
    gc.collect()
"""


def test_what_is_left_open_is_said_in_its_own_file(processes: None, tmp_path: Path) -> None:
    files = {
        "a_ring": _LEAVES_OPEN,
        "b": _COLLECTS,
        "c_fixture": _LEAVES_THE_FIXTURE_OPEN,
        "d": _COLLECTS,
        "e_keeps": _KEEPS,
        "f_lets_go": _LETS_GO,
        "g_last": _COLLECTS,
    }
    for name, text in files.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    said = run_pytest(tmp_path, "leaks")
    assert "8 passed, 4 errors" in said, said
    parts = re.split(r"_+ ERROR at teardown of (\w+) _+", said)
    errors = dict(zip(parts[1::2], parts[2::2], strict=True))
    socket = "left open by a test of this file: unclosed <socket"
    assert socket in errors["test_of_the_same_file"]
    assert socket in errors["test_has_a_fixture"]
    assert "this file: coroutine 'never' was never awaited" in errors["test_lets_go"]
    assert "socket" not in errors["test_lets_go"]
    last = errors["test_collects"]
    assert socket in last, "what an earlier file made is collected at the end of the run"
    assert "(or of an earlier file)" in last


async def test_the_lines_of_an_app_that_is_gone_are_not_kept() -> None:
    async def draw() -> weakref.ref[object]:
        app: App[None] = App()
        async with app.run_test(size=(20, 5)) as pilot:
            await pilot.pause()
            return weakref.ref(app.screen._styles_cache)

    lines = await asyncio.create_task(draw())  # a task has a context of its own, with the app
    forget_drawn()
    assert collect() == []
    assert lines() is None
