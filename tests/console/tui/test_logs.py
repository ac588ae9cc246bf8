"""The local stack's logs in the console: followed, held, by role, in the pager."""

import json
from typing import Any

import pytest

from console.tui.messages import PageText
from console.tui.screens.logs import LogsScreen
from console.tui.view_models.log_book import ALL, MAX_CHARS, MAX_LINES, LogBook, tone_of
from console.tui.widgets.key_footer import KeyFooter
from tests.console.tui.conftest import make_console, text_of, until
from tests.console.tui.keyboard import typed


class Written:
    """Logs that a test writes."""

    def __init__(self) -> None:
        self.new: list[tuple[str, str]] = []

    def read(self) -> list[tuple[str, str]]:
        found, self.new = self.new, []
        return found


def texts(book: LogBook, role: str) -> list[str]:
    return [row.cells[1][0][0] for row in book.rows(role)]


def test_the_newest_lines_of_all_logs_are_kept() -> None:
    book = LogBook()
    book.take(("api" if n % 2 else "kafka", f"line {n}") for n in range(MAX_LINES + 10))
    assert len(book.rows(ALL)) == MAX_LINES
    assert texts(book, ALL)[0] == "line 10"
    assert texts(book, "api")[-1] == f"line {MAX_LINES + 9}"
    counts = {row.key: row.cells[1][0][0] for row in book.role_rows()}
    assert counts == {ALL: "5 000", "api": "2 500", "kafka": "2 500"}
    last = book.rows(ALL)[-1].key
    assert book.line(last) == f"line {MAX_LINES + 9}"
    assert book.line("0") == ""  # no longer kept
    assert book.text("api").splitlines()[0] == "line 11"
    assert book.text(ALL).splitlines()[0] == "kafka     | line 10"
    book.take([("api", "x" * (MAX_CHARS + 1))])
    assert len(texts(book, ALL)[-1]) == MAX_CHARS + 1


@pytest.mark.parametrize(
    ("line", "tone"),
    [
        ("2026-12-01 06:39:13 [info     ] worker ready  worker=worker-1", ""),
        ("2026-12-01 06:39:13 [warning  ] heartbeats left out", "warn"),
        ("2026-12-01 06:39:13 [error    ] the watchdog check failed", "bad"),
        ("[2026-12-01 06:39:13,123] ERROR Failed to append (kafka.log)", "bad"),
    ],
)
def test_a_line_has_the_tone_of_its_level(line: str, tone: str) -> None:
    assert tone_of(line) == tone


def test_a_line_of_json_is_shown_as_the_others_are() -> None:
    known = {"status": 500, "event": "answered", "level": "error"}
    line = json.dumps(known | {"timestamp": "2026-12-01T06:39:28.6Z"})
    book = LogBook()
    book.take([("api", line), ("api", "{no json")])
    assert texts(book, ALL) == [
        "2026-12-01 06:39:28 [error    ] answered status=500",
        "{no json",
    ]
    assert tone_of(texts(book, ALL)[0]) == "bad"
    assert book.line("0") == line


async def test_logs_are_followed_until_another_line_is_chosen(url: str) -> None:
    logs = Written()
    logs.new = [(role, f"{role} {n}") for n in range(40) for role in ("api", "worker-1")]
    console = make_console(url, logs_of=lambda _: logs)
    async with console.run_test(size=(120, 30)) as pilot:
        await typed(pilot, console, "4", "l")
        assert isinstance(console.screen, LogsScreen)
        assert console.screen.query(KeyFooter)  # which shows whole words at any width
        lines = console.screen.query_one("#log-lines")
        title, whole = (console.screen.query_one(name) for name in ("#logs-title", "#log-line"))
        await until(pilot, lambda: "worker-1 39" in text_of(lines))
        assert "followed" in text_of(title)
        assert lines.vertical_scrollbar.position == lines.scroll_y > 0
        logs.new = [("api", "[31m\x1b]52;c;AAAA\x07 evil")]
        await until(pilot, lambda: "evil" in text_of(whole))
        assert "\x1b" not in text_of(lines)

        await typed(pilot, console, "k")
        assert "held" in text_of(title)
        logs.new = [("api", "unseen")]
        await until(pilot, lambda: "82" in text_of(console.screen.query_one("#log-roles")))
        assert text_of(whole).strip() == "worker-1 39"
        await typed(pilot, console, "G")
        await until(pilot, lambda: text_of(whole).strip() == "unseen")
        assert "followed" in text_of(title)


async def test_one_log_alone_and_the_pager(url: str) -> None:
    logs = Written()
    logs.new = [("api", "a"), ("kafka", "b"), ("api", "c")]
    console = make_console(url, logs_of=lambda _: logs)
    paged: list[PageText] = []
    async with console.run_test(size=(80, 24), message_hook=lambda m: paged_of(m, paged)) as pilot:
        await typed(pilot, console, "4", "l")
        assert console.screen.query(KeyFooter)  # which shows whole words at any width
        lines = console.screen.query_one("#log-lines")
        await until(pilot, lambda: "kafka" in text_of(lines))
        await typed(pilot, console, "right")
        await until(pilot, lambda: "kafka" not in text_of(lines))
        await typed(pilot, console, "P")
        await until(pilot, lambda: paged)
        assert (paged[0].name, paged[0].text) == ("api.log", "a\nc\n")
        await typed(pilot, console, "left", "left")
        await until(pilot, lambda: "kafka" in text_of(console.screen.query_one("#logs-title")))
        await typed(pilot, console, "escape")
        assert console.screen is console.screen_stack[0]


def paged_of(message: Any, found: list[PageText]) -> None:
    if isinstance(message, PageText) and message not in found:
        found.append(message)


async def test_an_api_elsewhere_has_no_logs_here(url: str) -> None:
    asked: list[str] = []
    console = make_console(url, logs_of=asked.append)
    async with console.run_test(size=(120, 30)) as pilot:
        await typed(pilot, console, "4", "l")
        assert console.screen is console.screen_stack[0]
        assert asked == [url]
