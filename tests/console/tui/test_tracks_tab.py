"""The Tracks tab: search, one track's crop and way, likeness, export."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from console.tui.app import ConsoleApp
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.prompt import PromptScreen
from console.tui.screens.tracks import TracksTab
from console.tui.view_models.track_search import track_key
from console.tui.widgets.preview import Preview
from console.tui.widgets.query_line import QueryLine
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import notes

SIZE = (140, 44)
PATH = "/v1/video/tracks"


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def tab(console: ConsoleApp) -> TracksTab:
    return console.query_one(TracksTab)


async def shown(pilot: Any, console: ConsoleApp) -> None:
    await pilot.press("3")
    await until(pilot, lambda: tab(console).found)


async def test_all_tracks_are_shown_at_first(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        rows = console.query_one("#track-list", Listing).rows
        assert len(rows) == len(script.answers["tracks"]["data"])
        assert "pedestrian" in text_of(console.query_one("#track-list"))


async def test_the_line_is_the_query(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        await pilot.press("slash", *"class:person dwell>2.5 text~AB", "enter")
        await until(pilot, lambda: len(script.asked("GET", PATH)) == 2)
        assert script.asked("GET", PATH)[-1] == {
            "q": ["class:person dwell>2.5 text~AB"],
            "include": ["counts"],
            "limit": ["100"],
        }
        n_tracks = len(script.answers["tracks"]["data"])
        await until(
            pilot, lambda: f"{n_tracks} tracks" in text_of(console.query_one("#track-count"))
        )
        chips = console.query_one("#track-query Chips")
        assert text_of(chips).split() == ["/", "class:person", "dwell>2.5s", "text~AB"]
        await pilot.press("t")
        await until(pilot, lambda: "from" in script.asked("GET", PATH)[-1])
        await pilot.press("escape")
        await until(pilot, lambda: "from" not in script.asked("GET", PATH)[-1])
        assert "q" not in script.asked("GET", PATH)[-1]


async def test_a_fault_is_said_before_anything_is_asked(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        await pilot.press("slash", *"dwell>long", "enter")
        line = console.query_one("#track-query")
        await until(pilot, lambda: "takes a number" in text_of(line.query_one(".query-fault")))
        assert len(script.asked("GET", PATH)) == 1


@pytest.mark.parametrize(("size", "source"), [(SIZE, "pedestrians.mp4"), ((80, 24), "pedestr")])
async def test_rows_say_the_source(console: ConsoleApp, size: tuple[int, int], source: str) -> None:
    async with console.run_test(size=size) as pilot:
        await shown(pilot, console)
        listing = console.query_one("#track-list", Listing)
        assert source in text_of(listing)
        for key in ("", "m"):  # with the column for likeness, too
            if key:
                await pilot.press(key)
                await until(pilot, lambda: "LIKE" in text_of(listing))
            title = text_of(listing).splitlines()[0]
            assert "SOURCE" in title
            assert "…" not in title


async def test_a_track_has_its_best_crop_and_its_way(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        tracks = script.answers["tracks"]["data"]
        at = next(i for i, track in enumerate(tracks) if track["task"] == script.log_task)
        console.query_one("#track-list", Listing).cursor = at
        await until(pilot, lambda: console.query_one("#crop", Preview).shown is not None)
        await until(pilot, lambda: "○" in text_of(console.query_one("#trajectory")))
        facts = console.query_one("#track-facts")
        await until(pilot, lambda: "pedestrians.mp4" in text_of(facts))
        assert "dwell" in text_of(facts)
        crop = console.query_one("#crop", Preview).shown
        assert crop is not None
        assert crop.height_px > crop.width_px


async def test_why_there_is_no_crop_is_said_in_whole_words(url: str, script: Script) -> None:
    script.logs = dict.fromkeys(script.answers["full"], b"data: [DONE]\n\n")
    console = make_console(url, RARELY_S)
    async with console.run_test(size=(80, 24)) as pilot:
        await shown(pilot, console)
        crop = console.query_one("#crop", Preview)
        await until(pilot, lambda: crop.text and "reading" not in crop.text)
        note = crop.query_one(".preview-note")
        await until(pilot, lambda: " ".join(text_of(note).split()) == crop.text)
        assert note.content_size.height > 1


async def test_more_like_this_asks_for_the_selected_track(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        selected = tab(console).selected
        assert selected is not None
        await pilot.press("m")
        await until(pilot, lambda: "q" in script.asked("GET", PATH)[-1])
        assert script.asked("GET", PATH)[-1]["q"] == [f"like:{track_key(selected)}"]
        await until(pilot, lambda: "LIKE" in text_of(console.query_one("#track-list")))
        await until(pilot, lambda: "%" in text_of(console.query_one("#track-list")))
        assert track_key(selected) in text_of(console.query_one("#track-query Chips"))


async def test_words_are_asked_for_and_kept_with_the_query(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        console.query_one(QueryLine).set_text("class:truck")
        await pilot.press("w")
        await until(pilot, lambda: isinstance(console.screen, PromptScreen))
        await pilot.press(*"red", "space", *"one", "enter")
        await until(pilot, lambda: "like_text" in script.asked("GET", PATH)[-1])
        asked = script.asked("GET", PATH)[-1]
        assert (asked["q"], asked["like_text"]) == (["class:truck"], ["red one"])
        await until(pilot, lambda: "LIKE" in text_of(console.query_one("#track-list")))
        assert "red one" in text_of(console.query_one("#track-like"))
        # Another time, the words of before are there to be changed; a track takes their place.
        await pilot.press("w")
        await until(pilot, lambda: isinstance(console.screen, PromptScreen))
        assert console.screen.query_one("#answer", Input).value == "red one"
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(console.screen, PromptScreen))
        await pilot.press("m")
        await until(pilot, lambda: "like:" in script.asked("GET", PATH)[-1].get("q", [""])[0])
        assert "like_text" not in script.asked("GET", PATH)[-1]
        # And words take a track's place: tracks can be like one thing only.
        await pilot.press("w")
        await until(pilot, lambda: isinstance(console.screen, PromptScreen))
        await pilot.press(*"red", "enter")
        await until(pilot, lambda: "like_text" in script.asked("GET", PATH)[-1])
        assert "q" not in script.asked("GET", PATH)[-1]
        # Back to the list before it, and then to all tracks.
        await pilot.press("escape")
        assert console.query_one(QueryLine).text == "class:truck"
        assert not console.query_one("#track-like").has_class("-shown")
        await pilot.press("escape")
        await until(pilot, lambda: not {"q", "like_text"} & set(script.asked("GET", PATH)[-1]))


async def test_blank_words_ask_for_nothing(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        n_asked = len(script.asked("GET", PATH))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(console.screen, PromptScreen))
        await pilot.press("space", "enter")
        await until(pilot, lambda: not isinstance(console.screen, PromptScreen))
        assert tab(console).search is not None
        assert len(script.asked("GET", PATH)) == n_asked


async def test_escape_goes_back_from_similar_tracks_to_the_list_and_its_cursor(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        await pilot.press("slash", *"ped", "enter")
        await until(pilot, lambda: script.asked("GET", PATH)[-1].get("q") == ["ped"])
        await until(pilot, lambda: tab(console).found)
        await pilot.press("down", "down")
        chosen, listed = tab(console).selected, list(tab(console).found)
        n_asked = len(script.asked("GET", PATH))
        await pilot.press("m")
        await until(pilot, lambda: "LIKE" in text_of(console.query_one("#track-list")))
        await pilot.press("escape")
        assert tab(console).found == listed
        assert tab(console).selected == chosen
        assert console.query_one(QueryLine).text == "ped"
        assert len(script.asked("GET", PATH)) == n_asked + 1  # the similar ones alone
        await pilot.press("escape")
        await until(pilot, lambda: "q" not in script.asked("GET", PATH)[-1])


async def test_a_search_for_similar_tracks_that_fails_leaves_the_list(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        await pilot.press("down")
        chosen, listed = tab(console).selected, list(tab(console).found)
        script.refuse(f"GET {PATH}", 404, "no_vector", "The track has no feature vector.")
        await pilot.press("m")
        await until(pilot, lambda: "no feature vector" in notes(console))
        assert tab(console).found == listed
        assert tab(console).selected == chosen
        assert "LIKE" not in text_of(console.query_one("#track-list"))


async def test_a_track_without_a_vector_is_not_searched_for(
    console: ConsoleApp, script: Script
) -> None:
    for track in script.answers["tracks"]["data"]:
        track["feature_digest"] = None
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        n_asked = len(script.asked("GET", PATH))
        await pilot.press("m")
        await until(pilot, lambda: "no feature vector" in notes(console))
        assert len(script.asked("GET", PATH)) == n_asked


async def test_an_export_replaces_a_file_only_after_a_yes_and_says_where_it_is(
    console: ConsoleApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "out.csv"
    target.write_text("mine")
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        for answer, replaced in (("enter", False), ("escape", False), ("y", True)):
            await pilot.press("x")
            console.screen.query_one("#answer", Input).value = "out.csv"
            await pilot.press("enter")
            assert isinstance(console.screen, ConfirmScreen)
            named = text_of(console.screen.query_one("#facts")).replace("\n", "")
            assert named.startswith(str(target))
            await pilot.press(answer)
            if replaced:
                await until(pilot, lambda: f"tracks in {target}" in notes(console))
            assert (target.read_text() != "mine") == replaced


async def test_enter_follows_the_tracks_task(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        await pilot.press("down", "enter")
        await until(pilot, lambda: console.active == "live")
        assert console.query_one(LiveTab).task_id == script.answers["tracks"]["data"][1]["task"]


def is_noted(console: ConsoleApp, name: str) -> bool:
    """Return whether a toast says that the file was exported; it goes after some seconds."""
    return "Exported" in notes(console) and name in notes(console)


async def test_the_list_is_exported_as_csv_and_json(
    console: ConsoleApp, script: Script, tmp_path: Path
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        for name in ("tracks.csv", "tracks.json"):
            await pilot.press("x")
            console.screen.query_one("#answer", Input).value = str(tmp_path / name)
            await pilot.press("enter")
            await until(pilot, partial(is_noted, console, name))
    # The recorded api is of a version that knew no votes, and no live sources.
    new = dict.fromkeys(("text_support", "first_seen_at", "last_seen_at"))
    expected = [{**track, **new} for track in script.answers["tracks"]["data"]]
    assert json.loads((tmp_path / "tracks.json").read_text()) == expected
    rows = list(csv.DictReader((tmp_path / "tracks.csv").read_text().splitlines()))
    assert [row["track_id"] for row in rows] == [str(track["track_id"]) for track in expected]


async def test_tracks_that_are_indexed_later_come_by_themselves(url: str, script: Script) -> None:
    known = script.answers["tracks"]["data"]
    script.answers["tracks"]["data"] = known[1:]
    console = make_console(url, RARELY_S, tracks_s=0.15)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        listing = console.query_one("#track-list", Listing)
        await pilot.press("down")
        chosen = listing.key
        script.answers["tracks"]["data"] = known
        await until(pilot, lambda: len(tab(console).found) == len(known))
        assert [row.key for row in listing.rows] == [
            f"{track['task']}:{track['track_id']}" for track in known
        ]
        assert listing.key == chosen


async def test_older_tracks_are_read_when_the_end_comes_into_sight(
    console: ConsoleApp, script: Script
) -> None:
    known = script.answers["tracks"]["data"]
    script.answers["tracks"] = {"data": known[:3], "next_cursor": "more"}
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "cursor" in script.asked("GET", PATH)[-1])
        assert script.asked("GET", PATH)[-1]["cursor"] == ["more"]


async def test_panes_are_resized(console: ConsoleApp) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        before = console.query_one("#track-list").outer_size.width
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: console.query_one("#track-list").outer_size.width < before)


async def test_a_tracks_name_is_copied(console: ConsoleApp) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console)
        selected = tab(console).selected
        assert selected is not None
        await pilot.press("y")
        assert console.clipboard == track_key(selected)


async def test_a_failed_search_is_said_plainly(console: ConsoleApp, script: Script) -> None:
    script.refused[f"GET {PATH}"] = {
        "type": "about:blank",
        "title": "Unavailable",
        "status": 503,
        "code": "clickhouse_unavailable",
        "detail": "ClickHouse does not answer.",
    }
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "ClickHouse does not answer." in notes(console))
        assert "ClickHouse does not answer." in text_of(console.query_one("#track-list"))
