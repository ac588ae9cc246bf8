"""The command line (`:`), and what it changes: views, columns, themes, and the api itself."""

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList

from console.config.values import Config, Context, View
from console.tui.app import ConsoleApp
from console.tui.keys import KEYS
from console.tui.screens.command_line import CommandScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.tasks import TasksTab
from console.tui.screens.tracks import TracksTab
from console.tui.view_models.command_line import Command, completed, completions, parse
from console.tui.view_models.history import Place
from console.tui.widgets.table import Listing
from console.tui.widgets.topbar import TopBar
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.keyboard import post_keys, typed
from tests.console.tui.recorded_api import KEY, NOW, Script, recorded_api
from tests.console.tui.test_tasks_tab import keys as listed
from tests.console.tui.test_tasks_tab import shown

SIZE = (140, 44)
NAMES = {
    "tab": ["tasks", "live", "tracks", "system"],
    "view": ["gate", "gate-2"],
    "context": ["prod", "test"],
    "theme": ["framewire-dark", "framewire-light"],
    "columns": ["status", "source", "steps"],
}


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("tracks", Command("tracks")),
        (":q", Command("q")),
        ("  :ctx   prod ", Command("ctx", "prod")),
        ("ctx", Command("ctx")),
        ("sa gate.1", Command("save", "gate.1")),
        ("columns source  status", Command("columns", "source status")),
        ("columns", Command("columns")),
        ("task vt_ABC", Command("task", "vt_ABC")),
    ],
)
def test_a_command_is_read(text: str, command: Command) -> None:
    assert parse(text, NAMES) == command


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a command: tasks, live"),
        ("ctz prod", "there is no command 'ctz'; did you mean 'ctx'?"),
        ("t", "there is no command 't': tasks, tracks, tab, task, theme"),
        ("ctx prd", "there is no context 'prd'; did you mean 'prod'?"),
        ("ctx zzz", "there is no context 'zzz'; there are: prod, test"),
        ("view", "view VIEW: show a saved view"),
        ("columns status sorce", "there is no column 'sorce'; did you mean 'source'?"),
        ("save a b", "a name has 1 to 40 letters"),
        ("q now", "q takes nothing after it"),
    ],
)
def test_a_fault_names_what_was_meant(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(fault)}"):
        parse(text, NAMES)


def test_completions_keep_what_was_typed() -> None:
    assert completions("c", NAMES) == ["ctx ", "columns "]
    assert completions("ctx ", NAMES) == ["ctx prod", "ctx test"]
    assert completions("columns source s", NAMES) == [
        "columns source status",
        "columns source steps",
    ]
    assert completions("ctx prod t", NAMES) == []
    assert completions("nonsense x", NAMES) == []
    assert completed("vi", NAMES) == "view "
    assert completed("view ", NAMES) == "view gate"
    assert completed("view gate-", NAMES) == "view gate-2"
    assert completed("zz", NAMES) == "zz"


def line(text: str) -> tuple[str, ...]:
    """Return the keys that run a command of the command line."""
    return (":", *text, "enter")


def said(console: ConsoleApp) -> list[str]:
    return [note.message for note in console._notifications]


def keeping(url: str, tmp_path: Path, **settings: Any) -> ConsoleApp:
    return make_console(url, state_path=tmp_path / "state.json", **settings)


async def test_a_command_after_another_holds_when_they_are_typed_in_one_go(
    url: str, script: Script, tmp_path: Path
) -> None:
    console = keeping(url, tmp_path)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *line("tracks"), *line("columns class"), "1", "y")
        assert console.query_one(TracksTab).columns == ("class",)
        assert console.clipboard == listed(console)[0]
        await typed(pilot, console, *line("themw"))
        assert isinstance(console.screen, CommandScreen)
        assert "did you mean 'theme'" in str(console.screen.query_one("#wrong").render())
        await typed(pilot, console, "escape", ":", *"the", "tab", *"framewire-l", "tab", "enter")
        assert console.theme == "framewire-light"
        await typed(pilot, console, *line("help"), "escape", "3", ":", "escape", "1", "y")
        assert console.clipboard == listed(console)[0]


async def test_a_view_is_saved_shown_and_kept_for_the_next_start(
    url: str, script: Script, tmp_path: Path
) -> None:
    console = keeping(url, tmp_path)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "/", *"vtest", "enter", "s", "S", "f", *line("save mine"))
        await typed(pilot, console, "escape", "3", *line("view mine"))
        assert console.active == "tasks"
        place = console.query_one(TasksTab).place()
        assert (place.text, place.sort, len(place.statuses)) == ("vtest", ("status", True), 3)
        await typed(pilot, console, "backspace")
        assert console.active == "tracks"
        await typed(pilot, console, *line("save mine"), *line("view mine"))
        assert console.active == "tracks"  # it was saved anew, as one of Tracks
    again = keeping(url, tmp_path)
    assert again.memory.view("mine") == View(tab="tracks")
    assert "did you mean 'mine'" in str(again.memory.view("mien"))


async def test_what_is_left_is_restored_and_what_a_person_wrote_comes_first(
    url: str, script: Script, tmp_path: Path
) -> None:
    console = keeping(url, tmp_path)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "]", "]", *line("columns source status"), "ctrl+t")
        await typed(pilot, console, "/", *"vtest", "enter", "s", "3")
        await until(pilot, lambda: console.alerts.since is not None)
        post_keys(console, "q")
        await until(pilot, lambda: console._exit)
    theme = console.theme
    config = Config(theme="framewire-contrast", columns={"tasks": ("task",)})
    again, other = keeping(url, tmp_path), keeping(url, tmp_path, config=config)
    script.requests.clear()
    async with again.run_test(size=SIZE) as pilot:
        assert (again.active, again.theme) == ("tracks", theme)
        await until(pilot, lambda: again.alerts.since == NOW)
        assert again.memory.acknowledged(url, None) == NOW
        restored = again.query_one(TasksTab).place()
        assert (restored.text, restored.sort) == ("vtest", ("status", False))
        await typed(pilot, again, "backspace")
        assert again.active == "tracks"  # it begins here: what was restored is no place before
        assert again.query_one(TasksTab).columns == ("source", "status")
        await typed(pilot, again, "1")
        listing = again.query_one("#task-list", Listing)
        await until(pilot, lambda: "vtest.avi" in text_of(listing))
        assert "pedestrians" not in text_of(listing)
        assert text_of(listing).split("\n")[0].split() == ["SOURCE", "STATUS▼"]
        shares = {console.memory.share("task-splitter"), again.memory.share("task-splitter")}
        assert shares != {None}
        width = listing.outer_size.width
        await typed(pilot, again, "2", "1")
        assert listing.outer_size.width == width
    async with other.run_test(size=SIZE) as pilot:
        assert other.theme == "framewire-contrast"
        assert other.query_one(TasksTab).columns == ("task",)


async def test_a_keymap_rebinds_actions_and_the_help_shows_it(url: str, script: Script) -> None:
    keys = {"tasks.copy-id": "i", "tasks.cancel": "ctrl+k", "tasks.re-run": "i"}
    console = make_console(url, config=Config(keys=keys, faults=("console.toml line 3: made up",)))
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        faults = [note.message for note in console._notifications if note.title == "Settings"]
        conflict = "[keys] tasks.copy-id: i is that of tasks.re-run already; it is ignored"
        assert faults == ["console.toml line 3: made up", conflict]
        await typed(pilot, console, "down", "c", "y")  # c is no key any more; y copies
        assert console.clipboard == listed(console)[1]
        await typed(pilot, console, "ctrl+k", "escape")
        assert script.asked("POST", f"/v1/video/tasks/{listed(console)[1]}/cancel") == []
        await typed(pilot, console, "?")
        helped = text_of(console.screen.query_one("#help-lines"))
        does = next(key.does for key in KEYS["Video Tasks"] if key.name == "Cancel")
        assert f"ctrl+k           {does}" in helped


async def test_a_console_begins_with_what_was_asked_for(
    url: str, script: Script, tmp_path: Path
) -> None:
    from console.tui.remembered import Start

    task = script.log_task
    console = make_console(url, start=Start(task=task))
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: console.query_one(LiveTab).snapshot.offset == len(script.log))
        assert console.active == "live"
    views = {"bad": View(query="status:failed")}
    console = make_console(url, start=Start(view="bad"), config=Config(views=views))
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: console.query_one(TasksTab).place().text == "status:failed")
    console = make_console(url, start=Start(tab="system"))
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: console.active == "system")
    console = make_console(url, start=Start(view="no"))
    async with console.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: any("There is no view 'no'" in one for one in said(console)))


async def test_the_last_letters_of_an_id_are_enough(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        wanted = listed(console)[3]
        await typed(pilot, console, ":", *"task ", *wanted[-6:], "enter")
        assert console.query_one(LiveTab).task_id == wanted
        await typed(pilot, console, *line("task QQQQQQ"))
        await until(pilot, lambda: "no task ends with 'QQQQQQ'" in said(console))


# -- contexts: two apis


@pytest.fixture
def other(script: Script) -> Iterator[tuple[Script, str]]:
    """Another api, whose tasks have other ids."""
    there = Script()
    there.answers = json.loads(json.dumps(there.answers).replace("vt_01", "vt_02"))
    with recorded_api(there) as url:
        yield there, url


def with_context(url: str, other_url: str) -> ConsoleApp:
    context = Context(name="prod", url=other_url, key_env="PROD_KEY", project="far")
    broken = Context(name="broken", url=other_url, key_env="NO_SUCH_KEY")
    config = Config(contexts={"prod": context, "broken": broken})
    return make_console(url, config=config, key_environ={"PROD_KEY": KEY})


async def test_a_context_is_another_api_and_no_request_is_about_the_old_ones_tasks(
    url: str, script: Script, other: tuple[Script, str]
) -> None:
    there, other_url = other
    script.open_log = True  # the stream of the old api stays open
    console = with_context(url, other_url)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        old = set(listed(console))
        live = console.query_one(LiveTab)
        await typed(pilot, console, ":", *"task ", *script.log_task, "enter")
        await until(pilot, lambda: live.snapshot.offset == len(script.log))
        old_backend = console.backend
        # Keys that are typed in one go with the switch are about the new api.
        await typed(pilot, console, "1", "down", *line("ctx prod"), "2", "1")
        n_old = len(script.requests)
        await until(pilot, lambda: len(listed(console)) == len(there.tasks()))
        second = there.tasks()[1]["id"]
        await typed(pilot, console, "down", "y", "enter", "3", "4", "1", "r", "y")
        await until(pilot, lambda: there.asked("POST", "/v1/video/process"))
        assert console.clipboard == second
        assert any(f"{second}/stream" in path for _, path, _ in there.requests)
        assert not old_backend._tasks  # its stream ended, too
        assert len(script.requests) == n_old
        assert not any(task in path for task in old for _, path, _ in there.requests)
        assert not old & set(listed(console))
        bar = text_of(console.query_one(TopBar))
        assert other_url.partition("://")[2] in bar
        assert "far" in bar
        while console.history.back() is not None:
            assert console.history.current.key not in old
            assert console.history.current.task not in old


async def test_a_request_on_its_way_while_the_context_changes_is_not_shown(
    url: str, script: Script, other: tuple[Script, str]
) -> None:
    there, other_url = other
    console = with_context(url, other_url)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        script.hold = threading.Event()
        n_asked = len(script.requests)
        await until(pilot, lambda: len(script.requests) > n_asked)
        await typed(pilot, console, *line("ctx prod"))
        script.hold.set()
        await until(pilot, lambda: len(listed(console)) == len(there.tasks()))
        await pilot.pause()
        assert set(listed(console)) == {task["id"] for task in there.tasks()}


async def test_a_context_without_its_key_changes_nothing(
    url: str, script: Script, other: tuple[Script, str]
) -> None:
    console = with_context(url, other[1])
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *line("ctx broken"), "down", "y")
        assert console.clipboard == listed(console)[1]
        (note,) = [n for n in console._notifications if n.severity == "error"]
        assert note.message == "context broken: NO_SUCH_KEY is not set"
        await typed(pilot, console, *line("ctx"))
        assert "broken, prod" in said(console)
        assert not other[0].requests


async def test_the_monkeys_keys_around_a_switch_reach_no_wrong_api(
    url: str, script: Script, other: tuple[Script, str]
) -> None:
    """Keys that change something, in one go before and after: each reaches the api it is about."""
    there, other_url = other
    console = with_context(url, other_url)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        first = listed(console)[0]
        post_keys(console, "c", "y", *line("ctx prod"), "c", "y", "enter", "c")
        await until(
            pilot, lambda: console._n_checks is None and not console._held_keys, within_s=60
        )
        await until(pilot, lambda: len(listed(console)) == len(there.tasks()))
        changed = [path for method, path, _ in script.requests if method != "GET"]
        assert changed in ([], [f"/v1/video/tasks/{first}/cancel"])
        cancels = [path.split("/")[4] for method, path, _ in there.requests if method != "GET"]
        assert set(cancels) <= {task["id"] for task in there.tasks()}


# -- palette


async def test_the_palette_jumps_to_a_task_by_id_or_source_and_to_a_class(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        wanted = listed(console)[2]
        await typed(pilot, console, "ctrl+p")
        await until(pilot, lambda: isinstance(console.focused, Input))
        await typed(pilot, console, *wanted[-6:])
        await until(pilot, lambda: any(wanted[-6:] in str(q) for q in queries(script)))
        await until(pilot, lambda: palette(console))
        await typed(pilot, console, "enter")
        await until(pilot, lambda: console.query_one(LiveTab).task_id == wanted)
        for word, jump, place in (
            ("vtest", "Tasks of a source with vtest", Place("tasks", "source:*vtest*")),
            ("Person", "Tasks with a person", Place("tasks", "class:person")),
            ("Person", "Tracks of class person", Place("tracks", "class:person")),
        ):
            await typed(pilot, console, "ctrl+p")
            await until(pilot, lambda: isinstance(console.focused, Input))
            await typed(pilot, console, *word)
            await until(pilot, partial(is_offered, console, jump))
            console.screen.query_one(OptionList).highlighted = palette(console).index(jump)
            await typed(pilot, console, "enter")
            await until(pilot, partial(shows, console, place))


def is_offered(console: ConsoleApp, jump: str) -> bool:
    return jump in palette(console)


def shows(console: ConsoleApp, place: Place) -> bool:
    now = console.tab.place()
    return (now.tab, now.text) == (place.tab, place.text)


def queries(script: Script) -> list[str]:
    return [query["q"][0] for query in script.asked("GET", "/v1/video/tasks") if "q" in query]


def palette(console: ConsoleApp) -> list[str]:
    """Return the prompts of the palette's list."""
    options = console.screen.query_one(OptionList)
    return [str(options.get_option_at_index(i).prompt) for i in range(options.option_count)]
