"""The System tab."""

import pytest

from console.tui.app import ConsoleApp
from console.tui.screens.live import LiveTab
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.recorded_api import Script

SIZE = (170, 44)


async def test_workers_parts_lag_and_failures_are_shown(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        workers = console.query_one("#workers")
        await until(pilot, lambda: "worker-1" in text_of(workers))
        assert "AUTO:GPU,CPU" in text_of(workers)
        assert "nanodet-g@1.0.0" in text_of(workers)
        assert "full" in text_of(workers)
        parts = text_of(console.query_one("#system-parts"))
        assert "● Kafka" in parts
        assert "● S3" in parts
        assert "● ClickHouse" in parts
        lag = text_of(console.query_one("#lag"))
        assert "archive behind" in lag
        assert "27" in lag
        assert "source_forbidden" in text_of(console.query_one("#failures"))


async def test_a_part_that_is_away_and_a_dead_worker_stand_out(
    console: ConsoleApp, script: Script
) -> None:
    system = script.answers["system"]
    system["parts"][1] |= {"ready": False, "detail": "The object store does not answer."}
    system["workers"][0]["alive"] = False
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        parts = console.query_one("#system-parts")
        await until(pilot, lambda: "✖ S3 The object store does not answer." in text_of(parts))
        assert "✖ gone" in text_of(console.query_one("#workers"))
        assert "0 workers" in text_of(parts)


async def test_a_worker_with_a_faulty_device_stands_out(
    console: ConsoleApp, script: Script
) -> None:
    system = script.answers["system"]
    fault = "GPU: nanodet-g@1.1.0/network gives values that are not finite"
    system["workers"][0]["device_fault"] = fault
    system["parts"].append(
        {"name": "worker", "ready": True, "detail": f"worker-1 takes no tasks: {fault}."}
    )
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        parts = console.query_one("#system-parts")
        await until(pilot, lambda: f"worker-1 takes no tasks: {fault}" in text_of(parts))
        assert "▲ fault" in text_of(console.query_one("#workers"))


@pytest.mark.parametrize(
    ("sandbox", "shown"),
    [
        ({"level": "partial", "missing": ["landlock"]}, "partial - landlock"),
        ({"level": "none", "missing": ["seccomp", "landlock"]}, "none - seccomp, landlock"),
        (None, "not told"),
    ],
)
async def test_what_is_missing_of_a_decoders_sandbox_is_shown(
    console: ConsoleApp, script: Script, sandbox: dict[str, object] | None, shown: str
) -> None:
    script.answers["system"]["workers"][0]["sandbox"] = sandbox
    async with console.run_test(size=(240, 44)) as pilot:
        await pilot.press("4")
        workers = console.query_one("#workers")
        await until(pilot, lambda: shown in text_of(workers))


async def test_a_role_that_stands_still_and_what_was_left_out_are_named(
    console: ConsoleApp, script: Script
) -> None:
    system = script.answers["system"]
    stuck = {"name": "index", "ready": False, "detail": "Stands still in partitions 0, 2."}
    waits = {"name": "archive", "ready": True, "detail": "Waits for s3."}
    system["parts"] += [stuck, waits, {"name": "worker", "ready": True, "detail": None}]
    system["dead_letters"] = [
        {
            "at": "2026-01-31T12:00:00.000Z",
            "role": "index",
            "code": "bad_record",
            "message": "m",
            "task": None,
            "topic": "video.chunks",
            "partition": 0,
            "offset": 5,
        }
    ]
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        parts = console.query_one("#system-parts")
        await until(pilot, lambda: "✖ index Stands still in partitions 0, 2." in text_of(parts))
        assert "archive Waits for s3." in text_of(parts)
        assert "workers Waits" not in text_of(parts)


async def test_a_failed_task_is_opened(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        failures = console.query_one("#failures")
        await until(pilot, lambda: "source_forbidden" in text_of(failures))
        failures.focus()
        await pilot.press("enter")
        await until(pilot, lambda: console.active == "live")
        failed = [task["id"] for task in script.tasks() if task["status"] == "failed"]
        assert console.query_one(LiveTab).task_id == failed[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_whole_message_of_the_chosen_failure_is_shown(
    console: ConsoleApp, script: Script, size: tuple[int, int]
) -> None:
    first, second = (task for task in script.tasks() if task["status"] == "failed")
    first["error"]["message"] = "The first of them said this at some length, to the very end."
    second["error"]["message"] = "another"
    async with console.run_test(size=size) as pilot:
        await pilot.press("4")
        failures, message = console.query_one("#failures"), console.query_one("#failure")
        await until(pilot, lambda: "MESSAGE" in text_of(failures))
        words = first["error"]["message"].split()
        await until(pilot, lambda: text_of(message).split() == words)
        failures.focus()
        await pilot.press("down")
        await until(pilot, lambda: text_of(message) == "another")


async def test_panes_are_resized_both_ways(console: ConsoleApp) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        lag, top = console.query_one("#lag"), console.query_one("#system-top")
        await until(pilot, lambda: "worker-1" in text_of(console.query_one("#workers")))
        before = lag.outer_size.width, top.outer_size.height
        await pilot.press("right_square_bracket", "right_curly_bracket")
        await until(pilot, lambda: lag.outer_size.width > before[0])
        await until(pilot, lambda: top.outer_size.height > before[1])


async def test_the_header_names_the_project_that_the_api_tells(url: str, script: Script) -> None:
    script.answers["system"]["project"] = "north-gate"
    console = make_console(url, project=None)
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "north-gate" in text_of(console.query_one("#topbar")))


async def test_refresh_asks_at_once(url: str, script: Script) -> None:
    console = make_console(url, system_s=3600.0, health_s=3600.0)
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "worker-1" in text_of(console.query_one("#workers")))
        n_asked = len(script.asked("GET", "/v1/system"))
        await pilot.press("r")
        await until(pilot, lambda: len(script.asked("GET", "/v1/system")) == n_asked + 1)


async def test_slots_of_live_tasks_are_shown_where_there_are_any(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=(240, 44)) as pilot:
        await pilot.press("4")
        parts, workers = (console.query_one(one) for one in ("#system-parts", "#workers"))
        await until(pilot, lambda: "2/4 slots busy" in text_of(parts))
        assert "live" not in text_of(parts)
        script.answers["system"]["workers"][0] |= {"live_busy": 3, "live_slots": 8}
        await pilot.press("r")
        await until(pilot, lambda: "2/4 slots busy   3/8 live" in text_of(parts))
        header, row = text_of(workers).splitlines()[:2]
        assert "BUSY   LIVE" in header
        assert "2/4    3/8" in row


async def test_figures_without_room_are_left_out_whole(console: ConsoleApp, script: Script) -> None:
    script.answers["system"]["workers"][0] |= {"live_busy": 3, "live_slots": 8}
    async with console.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        parts = console.query_one("#system-parts")
        await until(pilot, lambda: "2/4 slots busy   3/8 live" in text_of(parts))
        assert text_of(parts).splitlines()[1].endswith(" tasks waiting")


class TestWithoutASecondAnswer:
    """What the tab shows follows its width by itself."""

    @pytest.fixture
    def poll_s(self) -> float:
        return RARELY_S

    async def test_the_figures_that_have_room_are_shown_at_each_width(
        self, console: ConsoleApp, script: Script
    ) -> None:
        async with console.run_test(size=(24, 24)) as pilot:
            await pilot.press("4")
            parts = console.query_one("#system-parts")
            await until(pilot, lambda: "1 worker" in text_of(parts))
            assert "slots busy" not in text_of(parts)
            await pilot.resize_terminal(*SIZE)
            await until(pilot, lambda: "slots busy" in text_of(parts))
