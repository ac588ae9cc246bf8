"""A socket left open fails a test of the same file; nothing is kept of an app that is gone."""

import asyncio
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

_COLLECTS = """
import gc

def test_collects():
    gc.collect()
"""


def test_a_socket_left_open_is_said_in_its_own_file(processes: None, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(_LEAVES_OPEN)
    (tmp_path / "test_b.py").write_text(_COLLECTS)
    said = run_pytest(tmp_path, "leaks")
    assert "3 passed, 1 error" in said, said
    assert "ERROR at teardown of test_of_the_same_file" in said
    assert "left open by a test of this file: unclosed <socket" in said


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
