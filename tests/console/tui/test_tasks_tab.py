"""Every action of the Tasks tab."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, Input, OptionList

from console.tui.app import ConsoleApp
from console.tui.screens.help import HelpScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.submit import SubmitScreen
from console.tui.screens.tasks import TasksTab
from console.tui.view_models.task_list import TaskView
from console.tui.view_models.task_pages import GAP
from console.tui.widgets.chips import Chips
from console.tui.widgets.splitter import Splitter
from console.tui.widgets.table import Listing
from console.tui.widgets.task_rendering import COLUMNS, gap_row
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.recorded_api import Script

SIZE = (140, 40)


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def listing(console: ConsoleApp) -> Listing:
    return console.query_one("#task-list", Listing)


def is_first(found: OptionList, words: str) -> bool:
    return bool(found.option_count) and words in str(found.get_option_at_index(0).prompt).lower()


def keys(console: ConsoleApp) -> list[str]:
    return [row.key for row in listing(console).rows]


def many(script: Script, n_tasks: int) -> list[dict[str, Any]]:
    """Return that many ended tasks, newest first, a second apart."""
    done = next(task for task in script.tasks() if task["status"] == "succeeded")
    made = []
    for n in range(n_tasks):
        created = datetime(2026, 11, 22, 12, tzinfo=UTC) - timedelta(seconds=n)
        task = f"vt_01M81JAV9VKHPCSB8M{n_tasks - n:08}"
        made.append({**done, "id": task, "created_at": created.isoformat()})
        script.answers["full"][task] = {**script.answers["full"][done["id"]], "id": task}
    return made


def notes(console: ConsoleApp) -> str:
    return "\n".join(f"{note.title} {note.message}" for note in console._notifications)


def listed(script: Script) -> list[dict[str, list[str]]]:
    """Return the queries by which the list asked: the alerts read failed and running tasks."""
    queries = [query for query in script.asked("GET", "/v1/video/tasks") if "sort" in query]
    return [q for q in queries if (q.get("status"), q["sort"]) != (["running"], ["created"])]


async def shown(pilot: Any, console: ConsoleApp, script: Script) -> None:
    """Wait until the first page is there, and the selected task's request."""
    tab = console.query_one(TasksTab)
    await until(pilot, lambda: len(tab.tasks) >= min(script.page, len(script.tasks())))
    await until(pilot, lambda: listing(console).key in tab.requests)


async def test_tasks_are_listed_newest_first_with_what_their_requests_say(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await until(pilot, lambda: "vtest.avi" in text_of(listing(console)))
        assert keys(console) == [task["id"] for task in script.tasks()]
        text = text_of(listing(console))
        assert "● running" in text
        assert "source_forbidden" in text
        assert "detect → feature" in text


async def test_the_details_hold_request_and_error_of_the_selected_task(
    console: ConsoleApp, script: Script
) -> None:
    failed = next(task for task in script.tasks() if task["status"] == "failed")
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        while listing(console).key != failed["id"]:
            await pilot.press("down")
        facts = console.query_one("#task-facts")
        await until(pilot, lambda: '"model": "detect"' in text_of(facts))
        assert failed["error"]["code"] in text_of(facts)


async def test_the_time_that_is_left_is_in_the_list_the_details_and_live(
    console: ConsoleApp, script: Script
) -> None:
    # It samples 2 of 10 frames per second of 795: 159. 80 were processed in the 17.806 s from its
    # start to the moment of the recording, so the other 79 take 17.6 s.
    first = script.tasks()[0]
    assert first["started_at"] == "2026-11-22T12:05:14.194Z"
    assert first["progress"]["processed_frames"] == 80
    async with console.run_test(size=(120, 36)) as pilot:
        await shown(pilot, console, script)
        await until(pilot, lambda: "ETA" in text_of(listing(console)))
        assert " 18s " in text_of(listing(console)).splitlines()[1]
        facts = console.query_one("#task-facts")
        await until(pilot, lambda: "left      18s" in text_of(facts))
        script.log, script.open_log = b"", True
        await pilot.press("enter")
        await until(pilot, lambda: "18s left" in text_of(console.query_one("#live-head")))


async def test_attempts_of_a_task_are_in_its_details(console: ConsoleApp, script: Script) -> None:
    first = script.tasks()[0]["id"]
    script.answers["full"][first]["attempts"] = [
        {"provider": "cloud", "code": "provider_unreachable", "message": "no answer"}
    ]
    async with console.run_test(size=SIZE) as pilot:
        facts = console.query_one("#task-facts")
        await until(pilot, lambda: "provider_unreachable" in text_of(facts))


async def test_status_and_time_are_asked_of_the_api(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("f", "f")
        await until(pilot, lambda: len(keys(console)) == 4)
        assert {row["status"] for row in script.tasks() if row["id"] in keys(console)} == {
            "succeeded"
        }
        await pilot.press("t")
        await until(pilot, lambda: "from" in listed(script)[-1])
        await pilot.press("escape")
        await until(pilot, lambda: len(keys(console)) == len(script.tasks()))


async def test_a_status_is_toggled_with_the_mouse(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        chips = console.query_one("#statuses", Chips)
        at = text_of(chips).index("failed")
        await pilot.click("#statuses", offset=(at + 1, 0))
        await until(pilot, lambda: len(keys(console)) == 2)
        await pilot.click("#statuses", offset=(at + 1, 0))
        await until(pilot, lambda: len(keys(console)) == len(script.tasks()))


async def test_a_query_narrows_the_list_at_the_api_and_escape_widens_it(
    console: ConsoleApp, script: Script
) -> None:
    script.page = 3  # what fits is not among the loaded rows
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("slash", *"source:gate* -ocr", "enter")
        await until(pilot, lambda: len(keys(console)) == 1)
        assert "gate-3.mp4" in text_of(listing(console))
        assert listing(console).has_focus
        assert "1 of 9 tasks" in text_of(console.query_one("#task-count"))
        assert listed(script)[-1]["q"] == ["source:gate* -ocr"]
        await pilot.press("escape")
        await until(pilot, lambda: len(keys(console)) > 3)
        assert not console.query_one("#task-query").has_class("-shown")


async def test_a_term_is_a_chip_that_a_click_removes(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("slash", *"status:failed step:feature", "enter")
        await until(pilot, lambda: len(keys(console)) == 1)
        chips = console.query_one("#task-query Chips", Chips)
        assert text_of(chips).split() == ["/", "status:failed", "feature"]
        at = text_of(chips).index("feature")
        await pilot.click(chips, offset=(at + 1, 0))
        await until(pilot, lambda: len(keys(console)) == 2)
        assert text_of(chips).split() == ["/", "status:failed"]
        await pilot.press("slash")
        assert console.query_one("#words", Input).value == "status:failed"


async def test_a_fault_of_the_query_is_told_where_it_is_typed(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("slash", *"state:failed", "enter")
        line = console.query_one("#task-query")
        await until(pilot, lambda: "no such field" in text_of(line.query_one(".query-fault")))
        assert console.query_one("#words", Input).has_focus
        asked = [query.get("q", [""])[0] for query in listed(script)]
        assert not any(text.startswith("state:") for text in asked)


async def test_the_order_is_asked_of_the_api_by_key_and_by_title(
    console: ConsoleApp, script: Script
) -> None:
    def asked() -> list[str]:
        return [query["sort"][0] for query in listed(script)]

    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        newest_first = keys(console)
        assert asked()[-1] == "-created"
        await pilot.press("S")
        await until(pilot, lambda: keys(console) == newest_first[::-1])
        title = text_of(listing(console)).splitlines()[0].index("SOURCE")
        await pilot.click("#task-list", offset=(title + 2, 0))
        await until(pilot, lambda: asked()[-1] == "source")
        tasks = console.query_one(TasksTab).tasks

        def names() -> list[str]:
            return [TaskView(task).source for key in keys(console) if (task := tasks.task(key))]

        await until(pilot, lambda: names() == sorted(names()))
        await pilot.click("#task-list", offset=(title + 2, 0))
        await until(pilot, lambda: asked()[-1] == "-source")
        assert console.query_one(TasksTab).sort == ("source", True)


async def test_older_pages_are_read_when_the_end_comes_into_sight(
    console: ConsoleApp, script: Script
) -> None:
    script.page = 4
    async with console.run_test(size=(140, 9)) as pilot:
        await until(pilot, lambda: "9 tasks" in text_of(console.query_one("#task-count")))
        assert len(keys(console)) == 4
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: len(keys(console)) >= 8)  # the third page may come at once


async def read_on(pilot: Pilot[Any], console: ConsoleApp) -> None:
    """Go to the gap, and wait until a part of it is read."""
    n_loaded = len(keys(console))
    listing(console).cursor = keys(console).index(GAP)
    await until(pilot, lambda: len(keys(console)) > n_loaded or GAP not in keys(console))


async def test_the_oldest_task_is_one_request_away(console: ConsoleApp, script: Script) -> None:
    script.answers["tasks"]["data"] = many(script, 300)
    ids = [task["id"] for task in script.tasks()]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("G")
        await until(pilot, lambda: listing(console).key == ids[-1])
        ends = [q for q in listed(script) if q["sort"] == ["created"]]
        assert len(ends) == 1
        await until(
            pilot, lambda: keys(console)[:50] == ids[:50] and keys(console)[51:] == ids[-50:]
        )
        assert console.query_one(TasksTab).tasks.n_missing == 200
        while GAP in keys(console):
            await read_on(pilot, console)
            assert listing(console).key != GAP, "the gap is not read to its end by itself"
        assert keys(console) == ids


def test_the_gap_says_how_much_is_not_read() -> None:
    row = gap_row(9_900)
    assert len(row.cells) == len(COLUMNS)
    assert "9 900 not read yet" in "".join(text for cell in row.cells for text, _ in cell)


async def test_rows_that_no_first_page_has_are_refreshed(url: str, script: Script) -> None:
    script.answers["tasks"]["data"] = many(script, 120)
    for task in script.tasks():
        task |= {"status": "running", "finished_at": None}
    console = make_console(url, RARELY_S, tasks_s=0.15)
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(keys(console)) == 50)
        await pilot.press("end")
        await until(pilot, lambda: len(keys(console)) == 101)
        for task in script.tasks():
            task |= {"status": "succeeded", "finished_at": "2026-11-22T12:05:30.000Z"}
        tasks = console.query_one(TasksTab).tasks

        def statuses() -> set[str]:
            return {task.status for key in keys(console) if (task := tasks.task(key))}

        await until(pilot, lambda: statuses() == {"succeeded"})


async def test_a_task_that_no_longer_fits_leaves_the_list(url: str, script: Script) -> None:
    console = make_console(url, RARELY_S, tasks_s=0.15)
    running = [task for task in script.tasks() if task["status"] == "running"]
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *"status:running", "enter")
        await until(pilot, lambda: keys(console) == [task["id"] for task in running])
        running[0]["status"] = "succeeded"
        await until(pilot, lambda: keys(console) == [task["id"] for task in running[1:]])


async def test_a_task_is_cancelled_only_after_a_yes(console: ConsoleApp, script: Script) -> None:
    path = f"/v1/video/tasks/{script.tasks()[0]['id']}/cancel"
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("c", "n")
        await pilot.pause()
        assert not script.asked("POST", path)
        await pilot.press("c", "y")
        await until(pilot, lambda: script.asked("POST", path))
        await until(pilot, lambda: "cancelling" in notes(console))


async def test_a_refused_cancel_is_said_plainly(console: ConsoleApp, script: Script) -> None:
    script.refused[f"POST /v1/video/tasks/{script.tasks()[0]['id']}/cancel"] = {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "code": "task_succeeded",
        "detail": "The task has already succeeded.",
    }
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("c", "y")
        await until(pilot, lambda: "The task has already succeeded." in notes(console))


async def test_a_task_runs_again_with_the_same_request(console: ConsoleApp, script: Script) -> None:
    first = script.tasks()[0]["id"]
    request = script.answers["full"][first]["request"]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("r")
        assert not script.asked("POST", "/v1/video/process")
        await pilot.press("y")
        await until(pilot, lambda: script.asked("POST", "/v1/video/process") == [request])
        await until(pilot, lambda: console.active == "live")
        assert console.query_one(LiveTab).task_id == script.tasks()[0]["id"]


async def test_an_uploaded_video_runs_again_from_its_copy(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("slash", *"upload", "enter")
        await until(pilot, lambda: len(keys(console)) == 1)
        request = script.answers["full"][keys(console)[0]]["request"]
        assert request["input"][0]["data"].startswith("staged:")
        await pilot.press("r", "y")
        await until(pilot, lambda: script.asked("POST", "/v1/video/process") == [request])


async def test_a_task_whose_url_had_credentials_cannot_run_again_and_says_what_to_do(
    console: ConsoleApp, script: Script
) -> None:
    first = script.tasks()[0]["id"]
    item = script.answers["full"][first]["request"]["input"][0]
    item["url"] = "https://***@example.com/clip.mp4?X-Amz-Signature=***"
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("r")
        await until(pilot, lambda: "give the whole URL" in notes(console))
        assert not script.asked("POST", "/v1/video/process")


async def test_a_request_is_edited_as_a_new_task(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(console.screen, SubmitScreen))
        await until(pilot, lambda: len(console.screen.query("StepEditor")) == 2)
        source = console.screen.query_one("#source Input", Input)
        assert source.value.endswith("vtest.avi")


async def test_id_and_curl_are_copied(console: ConsoleApp, script: Script) -> None:
    first = script.tasks()[0]["id"]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("y")
        assert console.clipboard == first
        await pilot.press("Y")
        await until(pilot, lambda: console.clipboard.startswith("curl -sS"))
        assert "$FRAMEWIRE_KEY" in console.clipboard
        assert '"model": "detect"' in console.clipboard


async def test_results_are_exported_in_the_format_of_the_name(
    console: ConsoleApp, script: Script, tmp_path: Path
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        while listing(console).key != script.log_task:
            await pilot.press("down")
        tracks = script.answers["results"][script.log_task]["tracks"]
        for name in ("tracks.json", "tracks.csv"):
            await pilot.press("x")
            console.screen.query_one("#answer", Input).value = str(tmp_path / name)
            await pilot.press("enter")
            await until(pilot, (tmp_path / name).exists)
        assert json.loads((tmp_path / "tracks.json").read_text()) == tracks
        assert len((tmp_path / "tracks.csv").read_text().splitlines()) == len(tracks) + 1


async def test_an_export_names_only_formats_that_there_are(
    console: ConsoleApp, script: Script, tmp_path: Path
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("x")
        console.screen.query_one("#answer", Input).value = str(tmp_path / "tracks.xlsx")
        await pilot.press("enter")
        assert ".json or .csv" in str(console.screen.query_one("#wrong").render())
        await pilot.press("escape")
        assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - a test may block


async def test_enter_follows_the_task(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        chosen = listing(console).key
        await pilot.press("enter")
        assert console.active == "live"
        assert console.query_one(LiveTab).task_id == chosen
        stream = f"/v1/video/tasks/{chosen}/stream"
        await until(pilot, lambda: script.asked("GET", stream))  # nothing is left on its way


async def test_panes_are_resized_by_key_and_by_mouse(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        before = listing(console).outer_size.width
        await pilot.press("left_square_bracket")
        await pilot.pause()
        narrower = listing(console).outer_size.width
        assert narrower < before
        splitter = console.query_one("#task-splitter", Splitter)
        await pilot.mouse_down(splitter, offset=(0, 5))
        await pilot.hover("#task-details", offset=(10, 5))
        await pilot.mouse_up("#task-details", offset=(10, 5))
        await pilot.pause()
        assert listing(console).outer_size.width > narrower


async def test_tabs_help_themes_and_palette(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        for key, tab in (("2", "live"), ("3", "tracks"), ("4", "system"), ("1", "tasks")):
            await pilot.press(key)
            assert console.query_one(ContentSwitcher).current == tab
        at = text_of(console.query_one("#topbar")).index("3 Tracks")
        await pilot.click("#topbar", offset=(at, 0))
        await until(pilot, lambda: console.active == "tracks")
        await pilot.press("question_mark")
        helping = console.screen
        assert isinstance(helping, HelpScreen)
        await pilot.press("escape")
        seen = [console.theme]
        for _ in range(2):
            await pilot.press("ctrl+t")
            seen.append(console.theme)
        assert seen == ["framewire-dark", "framewire-light", "framewire-contrast"]
        titles = [command.title for command in console.get_system_commands(console.screen)]
        assert "Go to System" in titles
        assert "Similar" in titles


async def test_the_command_palette_finds_actions_by_name_and_does_them(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        for words, done in (
            ("copy id", lambda: console.clipboard == listing(console).key),
            ("go to system", lambda: console.active == "system"),
        ):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(console.screen, CommandPalette))
            await pilot.press(*words)
            found = console.screen.query_one(OptionList)
            await until(pilot, partial(is_first, found, words))
            await pilot.press("enter")
            await until(pilot, done)


async def test_rows_are_chosen_with_the_mouse(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.click("#task-list", offset=(20, 3))
        await until(pilot, lambda: listing(console).key == keys(console)[2])
        await pilot.click("#task-list", offset=(20, 3), times=2)
        await until(pilot, lambda: console.active == "live")
        assert console.query_one(LiveTab).task_id == keys(console)[2]


async def test_the_sort_key_goes_round(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        seen = [console.query_one(TasksTab).sort[0]]
        for _ in range(5):
            await pilot.press("s")
            seen.append(console.query_one(TasksTab).sort[0])
        assert seen == ["age", "status", "progress", "fps", "source", "age"]


async def test_an_empty_project_says_what_to_do(script: Script, url: str) -> None:
    script.answers["tasks"]["data"] = []
    console = make_console(url)
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "press n to submit" in text_of(listing(console)))
