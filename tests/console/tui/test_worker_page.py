"""A worker's page: its curves are those of the api's history."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.contract.system import SystemHistory
from console.tui.app import ConsoleApp
from console.tui.drawing.plot import plot, resampled
from console.tui.screens.worker import WorkerScreen
from console.tui.view_models.worker_history import curve_lines, curves
from tests.console.tui.conftest import text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import NOW, Script

_EIGHTHS = {" ": 0, "·": 0, **{char: n + 1 for n, char in enumerate("▁▂▃▄▅▆▇█")}}


def history(steps: list[int], worker: str = "worker-1") -> dict[str, Any]:
    """An hour in minutes; `steps` are those with a sample: its number in all figures."""
    begin = NOW - timedelta(hours=1)
    samples = [
        {
            "at": (begin + timedelta(minutes=n)).isoformat(),
            "fps": n / 2,
            "cpu_percent": 3.0 * n,
            "rss_bytes": n * 2**20,
            "busy": n % 4,
            "slots": 4,
            "processed_frames": n,
        }
        for n in steps
    ]
    workers = [{"id": "other", "samples": []}, {"id": worker, "samples": samples}]
    times = {"from": begin.isoformat(), "to": NOW.isoformat(), "step_s": 60}
    return times | {"workers": workers}


def heights(lines: list[str]) -> list[int]:
    """Read a plot back: each column's height in eighths of a cell."""
    return [sum(_EIGHTHS[line[x]] for line in lines) for x in range(len(lines[0]))]


@given(st.lists(st.floats(0, 1e9) | st.none(), min_size=1, max_size=60), st.integers(1, 8))
def test_a_columns_height_is_its_values_share_of_the_top(
    values: list[float | None], height: int
) -> None:
    top = max((value for value in values if value is not None), default=0.0)
    lines = plot(values, height, top)
    assert len(lines) == height
    for value, found in zip(values, heights(lines), strict=True):
        share = value / top * 8 * height if value and top else 0.0
        assert abs(found - share) <= 1
        assert (found > 0) == bool(value)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.integers(1, 250))
def test_no_peak_is_lost_when_there_are_fewer_columns(values: list[float], width: int) -> None:
    found = resampled(values, width)
    assert len(found) == width
    assert set(found) <= set(values)
    if width <= len(values):
        assert max(values) == max(value or 0.0 for value in found)


def test_each_figure_stands_at_its_time_and_gaps_stay_gaps() -> None:
    steps = [0, 1, 30, 59]
    found = msgspec.convert(history(steps), SystemHistory)
    cpu, memory, busy, fps = curves(found, "worker-1")
    assert [i for i, value in enumerate(cpu.values) if value is not None] == steps
    assert [cpu.values[i] for i in steps] == [0.0, 3.0, 90.0, 177.0]
    assert [memory.values[i] for i in steps] == [n * 2**20 for n in steps]
    assert [busy.values[i] for i in steps] == [0, 1, 2, 3]
    assert [fps.values[i] for i in steps] == [0.0, 0.5, 15.0, 29.5]
    head, *rows = curve_lines([cpu], 60, 5)
    assert "".join(text for text, _ in head) == "CPU            177 %   mean 68 %   max 177 %"
    drawn = ["".join(text for text, _ in row) for row in rows]
    assert [x for x, found in enumerate(heights(drawn)) if found] == [1, 30, 59]
    assert drawn[-1][0] == "·"
    assert drawn[-1][2] == " "


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_enter_on_a_worker_opens_its_page(
    console: ConsoleApp, script: Script, size: tuple[int, int]
) -> None:
    script.answers["history"] = history(list(range(60)))
    async with console.run_test(size=size) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "worker-1" in text_of(console.query_one("#workers")))
        await typed(pilot, console, "enter")
        assert isinstance(console.screen, WorkerScreen)
        drawn = console.screen.query_one("#worker-curves")
        await until(pilot, lambda: "frames/s" in text_of(drawn))
        text = text_of(drawn)
        for said in ("177 %", "59.0 MiB", "29.5", "tasks at work"):
            assert said in text
        assert "● alive" in text_of(console.screen.query_one("#worker-facts"))
        asked = next(one for one in script.asked("GET", "/v1/system/history") if "worker" in one)
        assert asked["worker"] == ["worker-1"]
        assert 30 <= int(asked["points"][0]) <= 240
        await pilot.press("escape")
        assert console.screen is console.screen_stack[0]


async def test_a_history_that_cannot_be_read_says_why(console: ConsoleApp, script: Script) -> None:
    script.refuse("GET /v1/system/history", 503, "clickhouse_unavailable", "ClickHouse is away.")
    async with console.run_test(size=(120, 36)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "worker-1" in text_of(console.query_one("#workers")))
        await pilot.press("enter")
        drawn = console.screen.query_one("#worker-curves")
        await until(pilot, lambda: "ClickHouse is away." in text_of(drawn))
