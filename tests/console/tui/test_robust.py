"""What the console says when the api is away, slow, failing, or does not take the key."""

import threading

from console.tui.app import ConsoleApp
from console.tui.drawing.formatting import grouped
from streamproc.contract.framing import parse_events
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.recorded_api import Script, recorded_api
from tests.console.tui.test_live_tab import head, live

SIZE = (120, 36)


def notice(console: ConsoleApp) -> str:
    widget = console.query_one("#notice")
    return text_of(widget) if widget.display else ""


async def test_an_api_that_is_away_is_asked_again_and_found(script: Script) -> None:
    with recorded_api(script) as url:
        pass  # the port is free again: nobody listens there
    console = make_console(url)
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "cannot be reached" in notice(console))
        assert "asking again in" in notice(console)
        assert "✖ away" in text_of(console.query_one("#topbar"))
        with recorded_api(script, port=int(url.rpartition(":")[2])):
            await until(pilot, lambda: "vtest.avi" in text_of(console.query_one("#task-list")))
            assert not notice(console)
            await until(pilot, lambda: "● ready" in text_of(console.query_one("#topbar")))


async def test_a_wrong_key_is_said_plainly(url: str) -> None:
    console = make_console(url, key="fw_wrong")
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "does not accept the key" in notice(console))
        assert "key refused" in text_of(console.query_one("#topbar"))


async def test_a_failing_api_is_said_plainly_and_the_list_stays(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "vtest.avi" in text_of(console.query_one("#task-list")))
        script.status = 503
        await until(pilot, lambda: "made up for a test (503 made_up)" in notice(console))
        assert "vtest.avi" in text_of(console.query_one("#task-list"))
        script.status = None
        await until(pilot, lambda: not notice(console))


async def test_a_slow_api_is_said_while_it_is_slow(console: ConsoleApp, script: Script) -> None:
    script.hold = threading.Event()
    console.backend.clock.monotonic_s = iter(range(10_000)).__next__  # type: ignore[method-assign] # planted
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "the api is slow" in notice(console))
        script.hold.set()
        await until(pilot, lambda: not notice(console))


async def test_an_answer_that_is_none_is_no_traceback(console: ConsoleApp, script: Script) -> None:
    script.answers["tasks"]["data"][0].pop("status")
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(script.asked("GET", "/v1/video/tasks")) > 1)
        assert console.is_running


async def test_any_size_of_terminal_is_drawn(url: str) -> None:
    console = make_console(url, RARELY_S)
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "vtest.avi" in text_of(console.query_one("#task-list")))
        await pilot.press("enter")
        for width, height in ((80, 24), (20, 6), (300, 90), (81, 25), (109, 31), (171, 33)):
            await pilot.resize_terminal(width, height)
            for tab in "1234":
                await pilot.press(tab)
                await pilot.pause()
                assert console.screen._compositor.render_update(full=True)
        assert console.is_running


async def test_a_restarted_stack_is_found_again_and_the_stream_resumed(script: Script) -> None:
    whole = script.log
    script.log, script.open_log = whole[: list(parse_events(whole))[20].end], True
    part = len(script.log)
    stack = recorded_api(script)
    url = stack.__enter__()
    console = make_console(url)
    try:
        async with console.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: "vtest.avi" in text_of(console.query_one("#task-list")))
            await pilot.press("2")
            live(console).task_id = script.log_task
            await until(pilot, lambda: live(console).snapshot.offset == part)
            stack.__exit__(None, None, None)
            await until(pilot, lambda: f"broke off at byte {grouped(part)}" in head(console))
            await pilot.press("1")
            await until(pilot, lambda: "cannot be reached" in notice(console))
            assert "vtest.avi" in text_of(console.query_one("#task-list"))
            script.log, script.open_log = whole, False
            stack = recorded_api(script, port=int(url.rpartition(":")[2]))
            stack.__enter__()
            await until(pilot, lambda: not notice(console), within_s=60)
            await pilot.press("2")
            await until(pilot, lambda: live(console).snapshot.offset == len(whole), within_s=60)
            await until(pilot, lambda: f"resumed at byte {grouped(part)}" in head(console))
    finally:
        stack.__exit__(None, None, None)


async def test_every_tab_stands_an_api_that_fails_and_comes_back(
    console: ConsoleApp, script: Script
) -> None:
    script.status = 503
    async with console.run_test(size=SIZE) as pilot:
        for tab in "1234":
            await pilot.press(tab)
            await until(pilot, lambda: "made up for a test" in notice(console))
        script.status = None
        await until(pilot, lambda: not notice(console), within_s=60)
        await until(pilot, lambda: "worker-1" in text_of(console.query_one("#workers")))
        await pilot.press("3")
        await until(pilot, lambda: "pedestrian" in text_of(console.query_one("#track-list")))
        await pilot.press("1")
        await until(pilot, lambda: "vtest.avi" in text_of(console.query_one("#task-list")))
