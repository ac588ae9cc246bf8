"""The header says the worst that is known, and a stream without chunks says why."""

from functools import partial
from typing import Any

import msgspec
import pytest
from textual.widget import Widget

from api.contract.system import SystemResource
from console.client.endpoint import Endpoint
from console.tui.app import ConsoleApp
from console.tui.clock import Clock
from console.tui.console_settings import ConsoleSettings
from console.tui.screens.live import LiveTab
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.health import Health, health_of, stall
from streamproc.contract.framing import parse_events
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.recorded_api import KEY, NOW, Script

SIZE = (120, 36)
FINE = ConnectionState("online", latency_ms=3)


class SetClock(Clock):
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def now(self) -> Any:
        return NOW

    def monotonic_s(self) -> float:
        return self.now_s


def system(script: Script) -> SystemResource:
    return msgspec.convert(script.answers["system"], SystemResource)


def test_the_health_is_that_of_the_worst_part(script: Script) -> None:
    assert health_of(system(script)) == Health(is_known=True, busy=2, slots=4)
    script.answers["system"]["workers"][0]["alive"] = False
    assert health_of(system(script)).words == "no worker"
    script.answers["system"]["parts"][1]["ready"] = False
    assert health_of(system(script)).words == "no worker · S3"
    for part in script.answers["system"]["parts"]:
        part["ready"] = False
    assert health_of(system(script)).words == "no worker · Kafka · +4"


@pytest.mark.parametrize(
    ("idle_s", "gap_s", "said"),
    [(4.9, 0.0, None), (20.0, 0.0, "stalled 20 s"), (20.0, 7.0, None), (21.5, 7.0, "stalled 22 s")],
)
def test_a_stream_is_stalled_when_nothing_comes_for_longer_than_usual(
    idle_s: float, gap_s: float, said: str | None
) -> None:
    found = stall(idle_s, gap_s, Health(is_known=True), FINE, is_pending=False)
    assert (None if found is None else found[0].partition(":")[0]) == said


@pytest.mark.parametrize(
    ("health", "link", "is_pending", "why"),
    [
        (
            Health(is_known=True, faults=("no worker",)),
            FINE,
            False,
            "stalled 20 s: no worker alive",
        ),
        (Health(is_known=True, faults=("S3",)), FINE, False, "stalled 20 s: S3"),
        (Health(is_known=True, busy=4, slots=4), FINE, True, "waiting 20 s: all workers are busy"),
        (Health(is_known=True, busy=1, slots=4), FINE, True, "not taken by a worker yet"),
        (Health(is_known=True, busy=1, slots=4), FINE, False, "no chunk from its worker"),
        (Health(), FINE.waiting(9.0), False, "the api is slow: no answer for 9 s"),
    ],
)
def test_a_stall_has_a_reason(
    health: Health, link: ConnectionState, why: str, *, is_pending: bool
) -> None:
    found = stall(20.0, 0.0, health, link, is_pending=is_pending)
    assert found is not None
    assert found[0].endswith(why)
    assert found[1] == "warn"


async def test_the_header_says_on_every_tab_what_does_not_work(url: str, script: Script) -> None:
    console = make_console(url, RARELY_S, health_s=0.2, system_s=0.2)
    parts, (worker,) = script.answers["system"]["parts"], script.answers["system"]["workers"]
    async with console.run_test(size=SIZE) as pilot:
        bar = console.query_one("#topbar")
        for tab in "1234":
            await pilot.press(tab)
            await until(pilot, lambda: "● ready" in text_of(bar))
            worker["alive"] = False
            await until(pilot, lambda: "▲ no worker" in text_of(bar))
            parts[1]["ready"] = False
            await until(pilot, lambda: "▲ no worker · S3" in text_of(bar))
            worker["alive"] = parts[1]["ready"] = True
            await until(pilot, lambda: "● ready" in text_of(bar))


def says_not_read(listing: Widget) -> bool:
    return "not read yet" in text_of(listing)


async def test_nothing_is_called_ready_that_was_not_read(
    console: ConsoleApp, script: Script
) -> None:
    script.refuse("GET /v1/system", 404, "not_found", "no")
    async with console.run_test(size=SIZE) as pilot:
        bar = console.query_one("#topbar")
        await until(pilot, lambda: "vtest.avi" in text_of(console.query_one("#task-list")))
        assert "ready" not in text_of(bar)
        for tab, name in (("4", "#workers"), ("4", "#lag"), ("4", "#failures")):
            await pilot.press(tab)
            await until(pilot, partial(says_not_read, console.query_one(name)))


async def test_a_stalled_stream_says_for_how_long_and_why(url: str, script: Script) -> None:
    events = list(parse_events(script.log))
    script.log, script.open_log = script.log[: events[30].end], True
    script.answers["full"][script.log_task]["status"] = "running"
    for task in script.tasks():
        if task["id"] == script.log_task:
            task |= {"status": "running", "finished_at": None}
    clock = SetClock()
    settings = ConsoleSettings(tasks_s=0.3, health_s=0.2, draw_s=0.03)
    console = ConsoleApp(Endpoint(url, KEY, project="shop-floor"), settings, clock)
    async with console.run_test(size=SIZE) as pilot:
        head = console.query_one("#live-head")
        await pilot.press("2")
        live = console.query_one(LiveTab)
        live.task_id = script.log_task
        await until(pilot, lambda: live.snapshot.offset == len(script.log))
        await until(pilot, lambda: "● running" in text_of(head))
        assert "● LIVE" in text_of(head)
        await pilot.press("1")
        clock.now_s += 20
        stalled = f"stream:{script.log_task}"
        # told by the stream itself, also while another tab is shown
        await until(
            pilot,
            lambda: any(
                (one.key, one.condition.title) == (stalled, "stream is stalled")
                for one in console.alerts.book.alerts
            ),
        )
        await pilot.press("2")
        await until(pilot, lambda: "▲ LIVE" in text_of(head))
        assert "stalled 20 s: no chunk from its worker" in text_of(head)
        script.answers["system"]["workers"][0]["alive"] = False
        await until(pilot, lambda: "stalled 20 s: no worker alive" in text_of(head))


async def test_the_header_below_a_dialog_goes_on(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        bar = console.query_one("#topbar")
        await until(pilot, lambda: "ready" in text_of(bar))
        await pilot.press("question_mark")
        assert len(console.screen_stack) == 2
        script.answers["system"]["workers"][0]["alive"] = False
        await until(pilot, lambda: "no worker" in text_of(bar))
