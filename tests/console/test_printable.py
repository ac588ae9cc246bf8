"""Nothing that others wrote reaches a terminal as anything but characters with a picture."""

import json
import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style
from textual.theme import BUILTIN_THEMES

from api.contract.tasks import (
    LiveSource,
    Progress,
    ResultResource,
    TaskFailure,
    TaskResource,
    UsageResource,
)
from api.contract.tracks import TrackSummary
from console.cli.commands.tasks import print_results, print_task
from console.cli.main import run
from console.cli.terminal import Terminal
from console.errors import ApiProblem
from console.exit_codes import ExitCode
from console.printable import printable, printable_json
from console.tui.drawing.styled_text import Ink, fitted, folded, length

HOSTILE = ["\x1b]0;owned\x07", "\x9b2J", "a\rb", "\u202ecod.exe", "\u2066x\u2069", "\x7f\x00",
           "\u200b", "\ufeff", "a\nfake line", "\U000e0041", "\ud83d", "\u2028"]  # fmt: skip


def is_clean(text: str) -> bool:
    return all(c.isprintable() or unicodedata.category(c) == "Zs" for c in text.replace("\n", ""))


@settings(deadline=None)
@given(text=st.text() | st.sampled_from(HOSTILE))
def test_every_character_without_a_picture_is_escaped(text: str) -> None:
    assert is_clean(printable(text))
    assert "\n" not in printable(text)
    if is_clean(text) and "\n" not in text:
        assert printable(text) == text


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_json_keeps_its_value(text: str) -> None:
    for written in (msgspec.json.encode({"a": text}).decode(), json.dumps({"a": text}, indent=1)):
        shown = printable_json(written)
        assert is_clean(shown)
        assert json.loads(shown) == {"a": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_of_the_console_is_clean_and_as_wide_as_it_says(text: str) -> None:
    theme = BUILTIN_THEMES["textual-dark"]
    ink = Ink(theme.to_color_system().generate(), dark=True)
    line = ((f"before {text} after", "bad"), (text, ""))
    for width in (1, 5, 12, 80):
        strip = ink.strip(line, width, Style())
        assert strip.cell_length == width
        assert is_clean(strip.text)
        assert length(fitted(line, width)) == width
        assert all(is_clean(part) for spans in folded(line, width) for part, _ in spans)


def a_task(text: str) -> TaskResource:
    return TaskResource(
        id="vt_1",
        object="video.task",
        status="failed",
        created_at="2026-01-01T00:00:00Z",
        started_at=None,
        finished_at=None,
        model=text,
        provider=text,
        attempts=[],
        progress=Progress(1, None, None),
        error=TaskFailure(text, text),
        stream_url="",
        results_url="",
        request={"model": text},
        live=LiveSource(text, text, text, 1, text, 1.0, None, None),
    )


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "\ud83d"])
def test_commands_print_no_text_as_it_is(
    text: str, capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    terminal = Terminal(as_json=as_json, environ={})
    track = TrackSummary(
        1, text, 0, 1, 2, 0.5, feature_digest=text, text=text, first_seen_at=text, last_seen_at=text
    )
    found = ResultResource("vt_1", "mm.pipeline.result", text, UsageResource(1, 1), [track])
    print_task(terminal, a_task(text))
    print_results(terminal, found)
    terminal.table((text, "N"), [(text, 1), (None, 2)])
    terminal.show({"name": text})
    printed = capsys.readouterr().out
    assert is_clean(printed)
    assert "fake line" not in [line.strip() for line in printed.splitlines()]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_problem_of_the_api_is_printed_clean(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise ApiProblem(422, text, text, [{}, {"field": text, "message": text}])

    monkeypatch.setattr("console.cli.main.cli.main", refuse)
    assert run(["list"]) == ExitCode.USAGE
    assert is_clean(capsys.readouterr().err)
