"""Curves of consumer lag on the System tab; archive, index and api among its processes."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from api.contract.system import SystemHistory, SystemResource
from console.tui.app import ConsoleApp
from console.tui.view_models.system import WORKER_COLUMNS, ServiceFold
from console.tui.view_models.worker_history import lag_curves
from tests.console.tui.conftest import text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import NOW, Script

GROUPS = {
    "framewire-worker": "video.tasks",
    "framewire-archive": "video.chunks",
    "framewire-index": "video.chunks",
    "framewire-audit": "video.audit",
}


def history(lag: dict[str, dict[int, int]]) -> dict[str, Any]:
    """An hour in minutes; of each group the lag in some of them."""
    begin = NOW - timedelta(hours=1)
    groups = [
        {
            "group": group,
            "topic": GROUPS[group],
            "samples": [
                {"at": (begin + timedelta(minutes=minute)).isoformat(), "lag": n}
                for minute, n in steps.items()
            ],
        }
        for group, steps in lag.items()
    ]
    times = {"from": begin.isoformat(), "to": NOW.isoformat(), "step_s": 60}
    return times | {"workers": [], "lag": groups}


def test_a_curve_has_each_sample_at_its_time_in_the_order_of_the_list() -> None:
    made = history({"framewire-index": {0: 5, 59: 7}, "framewire-worker": {30: 1234}})
    found = lag_curves(msgspec.convert(made, SystemHistory))
    assert [*found] == ["framewire-worker/video.tasks", "framewire-index/video.chunks"]
    to_do, index = found.values()
    assert (to_do.title, index.title) == ("tasks to do", "index behind")
    assert [i for i, value in enumerate(to_do.values) if value is not None] == [30]
    assert [index.values[i] for i in (0, 1, 59)] == [5, None, 7]
    assert to_do.say(1234.0) == "1 234"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((200, 60), {"tasks to do", "archive behind", "index behind", "audit behind"}),
        ((120, 36), {"tasks to do"}),
        ((80, 18), set()),
    ],
)
async def test_as_many_curves_are_shown_as_there_is_room_for_and_enter_shows_all(
    console: ConsoleApp, script: Script, size: tuple[int, int], shown: set[str]
) -> None:
    titles = {"tasks to do", "archive behind", "index behind", "audit behind"}
    script.answers["history"] = history({group: {n: n for n in range(60)} for group in GROUPS})
    async with console.run_test(size=size) as pilot:
        await pilot.press("4")
        pane = console.query_one("#lag-curves")

        def drawn() -> set[str]:
            return {one for one in titles if one in text_of(pane)} if pane.display else set()

        await until(pilot, lambda: script.asked("GET", "/v1/system/history"))
        await until(pilot, lambda: drawn() == shown)
        lag = console.query_one("#lag")
        assert {one for one in titles if one in text_of(lag)} >= titles - {"audit behind"}
        lag.focus()
        if len(shown) == 1:
            await typed(pilot, console, "down")
            assert drawn() == {"archive behind"}
            assert "last hour" in str(pane.border_title)
        await typed(pilot, console, "enter")
        page = console.screen.query_one("#all-lag-curves")
        await until(pilot, lambda: all(one in text_of(page) for one in titles))
        assert "mean 30   max 59" in text_of(page)
        assert script.asked("GET", "/v1/system/history")[0]["only"] == ["lag"]
        await pilot.press("escape")
        assert console.screen is console.screen_stack[0]


async def test_a_lag_that_cannot_be_read_says_why(console: ConsoleApp, script: Script) -> None:
    script.refuse("GET /v1/system/history", 503, "clickhouse_unavailable", "ClickHouse is away.")
    async with console.run_test(size=(120, 36)) as pilot:
        await pilot.press("4")
        pane = console.query_one("#lag-curves")
        await until(pilot, lambda: "ClickHouse is away." in text_of(pane))


def consumer(role: str, pid: int, **more: Any) -> dict[str, Any]:
    seen = NOW - timedelta(seconds=1)
    started = NOW - timedelta(minutes=5)
    return {
        "role": role,
        "host": "vm",
        "pid": pid,
        "alive": True,
        "started_at": started.isoformat(),
        "seen_at": seen.isoformat(),
        "partitions": [0, 1, 2],
        "standing": [],
        "waiting_for": None,
        "renewals": 0,
        "cpu_percent": 12.4,
        "rss_bytes": 50 * 2**20,
        **more,
    }


def test_every_role_has_a_row_with_its_cpu_and_memory(script: Script) -> None:
    answer = script.answers["system"]
    answer["workers"][0] |= {"cpu_percent": 187.6}
    answer["consumers"] = [
        consumer("index", 12, waiting_for="clickhouse"),
        consumer("archive", 11),
        consumer("archive", 10, standing=[2], alive=False),
        consumer("archive", 9, cpu_percent=None, rss_bytes=None),
    ]
    started = NOW - timedelta(hours=2)
    answer["api"] = {
        "host": "vm",
        "pid": 13,
        "started_at": started.isoformat(),
        "cpu_percent": 3.0,
        "rss_bytes": 2**30,
    }
    system = msgspec.convert(answer, SystemResource)
    rows = {}
    for row in ServiceFold().worker_rows(system, NOW):
        cells = ["".join(text for text, _ in cell) for cell in row.cells]
        rows[row.key] = dict(zip((c.title for c in WORKER_COLUMNS), cells, strict=True))
    assert [*rows] == [
        "worker-1", "archive vm-9", "archive vm-11", "index vm-12", "archive vm-10", "api vm-13"
    ]  # fmt: skip
    wanted = ("STATE", "CPU", "MEMORY", "MODELS", "UP")
    assert rows["worker-1"]["CPU"] == "188%"
    found = {name: tuple(row[title] for title in wanted) for name, row in rows.items()}
    assert found["archive vm-11"] == ("● alive", "12%", "50.0 MiB", "reads 3 partitions", "5m00s")
    assert found["archive vm-9"][1:3] == ("-", "-")
    assert found["archive vm-10"][0] == "✖ gone"
    assert found["archive vm-10"][3] == "stands still in 1 of 3"
    assert found["index vm-12"][3] == "waits for clickhouse"
    assert found["api vm-13"][1:3] == ("3%", "1.0 GiB")
    assert rows["archive vm-11"]["PROCESS"] == "archive 11"
    answer["workers"][0]["host"] = "gpu-2"
    *_, last = ServiceFold().worker_rows(msgspec.convert(answer, SystemResource), NOW)
    assert last.cells[0] == (("api vm-13", ""),)  # with the host: there are two


def test_each_topic_of_tasks_has_a_title_of_its_own(script: Script) -> None:
    live = {"group": "framewire-worker", "topic": "video.live", "partition": 0, "lag": 0}
    script.answers["system"]["lag"].append(live)
    rows = ServiceFold().lag_rows(msgspec.convert(script.answers["system"], SystemResource))
    titles = ["".join(text for text, _ in row.cells[0]) for row in rows]
    assert titles == ["live tasks", "tasks to do", "archive behind", "index behind"]


async def test_enter_on_another_role_opens_nothing(console: ConsoleApp, script: Script) -> None:
    script.answers["system"]["consumers"] = [consumer("index", 12)]
    async with console.run_test(size=(170, 44)) as pilot:
        await pilot.press("4")
        workers = console.query_one("#workers")
        await until(pilot, lambda: "index 12" in text_of(workers))
        await typed(pilot, console, "end", "enter")
        assert console.screen is console.screen_stack[0]
