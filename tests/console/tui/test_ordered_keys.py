"""Keys are held back until what the key before them does is done."""

import asyncio
import time
from types import SimpleNamespace
from typing import ClassVar

import pytest
from textual.binding import BindingType
from textual.command import CommandList
from textual.events import Key
from textual.screen import Screen

from console.tui import ordered_keys
from console.tui.ordered_keys import OrderedKeysApp
from console.tui.screens.dialog import Dialog
from console.tui.screens.palette import Palette

TOLD: list[str] = []


class Question(Screen[None]):
    """`n` closes it, after some time."""

    async def on_key(self, event: Key) -> None:
        if event.key == "b":
            TOLD.append("question")
            event.stop()
        else:
            await asyncio.sleep(0.2)
            self.dismiss()


class Asking(OrderedKeysApp[None]):
    BINDINGS: ClassVar[list[BindingType]] = [("b", "tell", "")]

    def action_tell(self) -> None:
        TOLD.append("app")


@pytest.mark.usefixtures("screens")
async def test_a_process_that_gets_no_processor_time_keeps_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten seconds pass for each time that the clock is read."""
    TOLD.clear()
    app = Asking()
    async with app.run_test() as pilot:
        await app.push_screen(Question())
        reads, began_s = iter(range(10**6)), time.monotonic()
        clock = SimpleNamespace(monotonic=lambda: 10.0 * next(reads))
        monkeypatch.setattr(ordered_keys, "time", clock, raising=False)
        app.post_message(Key("n", "n"))
        app.post_message(Key("b", "b"))
        while not TOLD:
            await asyncio.sleep(0.01)
            assert time.monotonic() - began_s < 30
        await pilot.pause()
    assert TOLD == ["app"]


async def test_keys_that_are_held_when_the_app_is_closed_are_dropped() -> None:
    app = OrderedKeysApp[None]()
    app._n_checks = 0
    await app.on_event(Key("a", "a"))
    assert app.is_handling_keys
    await app._send_held()
    assert not app.is_handling_keys


@pytest.mark.usefixtures("screens")
async def test_a_dialog_answers_once_and_closes_itself_alone() -> None:
    answers: list[str | None] = []
    app = OrderedKeysApp[None]()
    async with app.run_test() as pilot:
        below, above = Dialog[str](), Dialog[str]()
        await app.push_screen(below)
        await app.push_screen(above, answers.append)
        for answer in ("yes", "no"):
            above.dismiss(answer)
        await pilot.pause()
        assert answers == ["yes"]
        assert app.screen is below


@pytest.mark.usefixtures("screens")
async def test_a_page_key_before_the_palettes_list_is_drawn_does_nothing() -> None:
    app = OrderedKeysApp[None]()
    async with app.run_test():
        palette = Palette(id="--command-palette")
        await app.push_screen(palette)
        commands = palette.query_one(CommandList)
        commands.add_option("one")
        with commands.prevent(CommandList.OptionHighlighted):
            commands.set_reactive(CommandList.highlighted, 0)
        palette._action_command_list("page_down")
        assert app.screen is palette
