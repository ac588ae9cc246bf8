"""What is drawn with less work than Textual's own is the same as Textual's own."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from textual.color import Color
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet, StylesheetParseError
from textual.dom import DOMNode
from textual.renderables.background_screen import BackgroundScreen
from textual.style import Style
from textual.visual import RenderOptions, RichVisual
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from console.tui.app import ConsoleApp
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.dialog import Dialog
from console.tui.stylesheet import IndexedStylesheet
from console.tui.widgets.backdrop import Backdrop
from console.tui.widgets.key_footer import KeyFooter
from console.tui.widgets.step_editor import StepEditor
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import RARELY_S, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import shown

SIZE = (112, 26)
NARROW = (80, 24)


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def rules(node: DOMNode) -> dict[str, Any]:
    """Return all that a stylesheet says about a widget and about its parts."""
    parts = {name: styles.base.get_rules() for name, styles in node._component_styles.items()}
    return {"": node.styles.base.get_rules()} | parts


def has_keys(footer: Footer) -> bool:
    return len(footer.children) > 1


async def test_every_widget_has_the_styles_that_textuals_own_stylesheet_gives_it(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "n")
        await until(pilot, lambda: console.screen.query(StepEditor))
        assert isinstance(console.stylesheet, IndexedStylesheet)
        plain = Stylesheet(variables=console.get_css_variables())
        plain.source = console.stylesheet.source.copy()
        plain.parse()
        n_rules = 0
        for screen in console.screen_stack:
            for node in screen.walk_children(with_self=True):
                ours = rules(node)
                plain.apply(node)
                assert ours == rules(node), node
                n_rules += sum(len(one) for one in ours.values())
        assert n_rules > 1000


def test_rules_are_parsed_once_for_each_set_of_variables() -> None:
    def parsed(sheet: Stylesheet) -> RuleSet:
        sheet.add_source("Label { color: $ink; }", ("a.tcss", ""))
        (rule,) = sheet.rules
        return rule

    red, blue = {"ink": "#ff0000"}, {"ink": "#0000ff"}
    first, other, again = (IndexedStylesheet(variables=ink) for ink in (red, blue, red))
    assert parsed(first).styles.color == Color.parse("#ff0000")
    assert parsed(other).styles.color == Color.parse("#0000ff")
    assert parsed(again) is parsed(first)
    again.set_variables(blue)
    again.reparse()
    assert parsed(again) is parsed(other)
    assert parsed(first).styles.color == Color.parse("#ff0000")


def test_rules_with_an_error_are_not_taken() -> None:
    sheet = IndexedStylesheet(variables={"ink": "#ff0000"})
    sheet.add_source("Label { color: $ink; }", ("a.tcss", ""))
    before = sheet.rules
    sheet.set_variables({"ink": "no colour"})
    with pytest.raises(StylesheetParseError):
        sheet.reparse()
    assert sheet.rules == before


async def test_the_screen_behind_a_dialog_is_tinted_as_textual_tints_it(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "c")
        dialog = console.screen
        assert isinstance(dialog, ConfirmScreen)
        behind = BackgroundScreen(console.screen_stack[0], dialog.styles.background)
        options = RenderOptions(dialog._get_style, {})
        drawn = [
            [
                (segment.text, segment.style)
                for strip in visual.render_strips(*SIZE, Style.null(), options)
                for segment in strip.simplify()
            ]
            for visual in (Backdrop(behind), RichVisual(dialog, behind))
        ]
        assert drawn[0] == drawn[1]
        assert "".join(text for text, _ in drawn[0]).count("succeeded") > 1


async def test_the_footer_says_what_textuals_own_says_and_keeps_its_widgets(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        footer = console.query_one(KeyFooter)
        seen, first = set(), list(footer.children)
        for key in ("1", "2", "3", "slash", "escape", "4", "1"):
            await typed(pilot, console, key)
            own = Footer()
            own._bindings_ready = True
            own.styles.dock = "top"
            await console.screen.mount(own)
            await until(pilot, partial(has_keys, own))
            said = ["  ".join(text_of(each).split()) for each in (*footer.children, *own.children)]
            said = [text for text in said if text]
            assert said[: len(said) // 2] == said[len(said) // 2 :]
            seen.add(tuple(said))
            await own.remove()
        assert len(seen) > 3
        assert [child for child in footer.children if child in first] == first


async def test_a_dialog_knows_its_size_before_its_widgets_are_made(
    console: ConsoleApp, script: Script
) -> None:
    known: list[frozenset[str]] = []

    class Probe(Dialog[None]):
        def compose(self) -> Any:
            known.append(self.classes)
            yield from super().compose()

    async with console.run_test(size=NARROW) as pilot:
        await shown(pilot, console, script)
        await console.push_screen(Probe())
        await pilot.resize_terminal(*SIZE)
        await console.push_screen(Probe())
        assert [one & {"-narrow", "-normal", "-low"} for one in known] == [
            {"-narrow", "-low"},
            {"-normal", "-low"},
        ]
        assert console.screen.classes == known[-1]
        assert "-normal" in console.screen_stack[0].classes


async def test_a_move_of_the_cursor_repaints_two_rows(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        listing = console.query_one("#task-list", Listing)
        drawn: list[int] = []
        render_line = listing.render_line

        def render(y: int) -> Any:
            drawn.append(y)
            return render_line(y)

        listing.render_line = render  # type: ignore[method-assign] # counted, then done
        await typed(pilot, console, "down")
        assert sorted(set(drawn)) == [1, 2]


@pytest.mark.parametrize("width", [60, 80, 132])
async def test_the_footer_has_whole_words_at_any_width(console: ConsoleApp, width: int) -> None:
    async with console.run_test(size=(132, 24)) as pilot:
        all_keys = {tab: await labels_of(pilot, console, tab) for tab in "1234"}
        await pilot.resize_terminal(width, 24)
        for tab in "1234":
            shown_keys = await labels_of(pilot, console, tab)
            assert len(shown_keys) >= 4
            assert shown_keys[:-1] == all_keys[tab][: len(shown_keys) - 1]
            assert shown_keys[-1] == all_keys[tab][-1] == "palette"


async def labels_of(pilot: Any, console: ConsoleApp, tab: str) -> list[str]:
    """Return what the footer of a tab has, once each key ends before the next one begins."""
    await pilot.press(tab)
    footer = console.query_one(KeyFooter)

    def labels() -> list[FooterKey]:
        return [one for one in footer.query(FooterKey) if one.display]

    def are_apart() -> bool:
        regions = [one.region for one in labels()]
        return all(a.right <= b.x for a, b in pairwise(regions)) and regions[-1].right > 50

    await until(pilot, are_apart)
    return [one.description for one in labels()]
