"""Toasts: they say things as they are, and go without a trace."""

from typing import Any

from textual.widgets._toast import Toast

from console.tui.app import ConsoleApp
from tests.console.tui.conftest import text_of, until
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import shown

SIZE = (140, 44)


async def test_what_a_toast_covered_is_painted_again(
    console: ConsoleApp, script: Script, monkeypatch: Any
) -> None:
    async with console.run_test(size=(140, 12), notifications=True) as pilot:
        await shown(pilot, console, script)
        facts = console.query_one("#task-facts")
        await until(pilot, lambda: "speed" in text_of(facts))
        console.notify("gone soon\n\n\n\n")
        await until(pilot, lambda: console.screen.query(Toast))
        toast = console.screen.query_one(Toast)
        await until(pilot, lambda: toast.region)
        covered = toast.region.y + 2 - facts.region.y
        word = text_of(facts).splitlines()[covered].split()[0]

        painted: list[str] = []

        def paint(_screen: Any, update: Any) -> None:
            if hasattr(update, "render_segments"):
                painted.append(update.render_segments(console.console))

        monkeypatch.setattr(console, "_display", paint)
        # What a scroll leaves: Textual forgets the layout that it would compare with.
        console.screen._compositor._full_map_invalidated = True
        toast._expire()
        await until(pilot, lambda: word in "".join(painted))


async def test_brackets_in_a_message_are_no_markup(console: ConsoleApp) -> None:
    async with console.run_test(size=SIZE, notifications=True) as pilot:
        for message in ("input[0].url", "[/nothing] was [open", "[red]"):
            console.screen.notify(message, title="[/]")
        await until(pilot, lambda: len(console.screen.query(Toast)) == 3)
        texts = [str(toast.render()) for toast in console.screen.query(Toast)]
        assert any("[/nothing] was [open" in text for text in texts)
        assert console.is_running
