"""Task list, link, form, trails, words, columns: pure, without Textual."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.contract.models import ModelPage
from api.contract.tasks import TaskPage
from api.contract.tracks import TrackResource
from console.client import calls
from console.client.curl import curl
from console.errors import ApiProblem, UnreachableError
from console.export.encoding import encode_rows
from console.tui.drawing.formatting import bar, duration, grouped, size, sparkline
from console.tui.drawing.frame_image import fitting
from console.tui.drawing.styled_text import fitted, folded, length, wrapped
from console.tui.drawing.table_layout import GAP, Column, fit
from console.tui.view_models.connection import MAX_PAUSE_S, ConnectionState
from console.tui.view_models.submit_form import (
    FormError,
    FormValues,
    StepValues,
    build_body,
    place_errors,
    read_body,
)
from console.tui.view_models.task_list import TaskView, api_sort
from console.tui.view_models.trajectories import MAX_POINTS, TrackPaths, trajectory_lines
from streamproc.contract.framing import Event, parse_events
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_feed import LOG, chunk, target

SCRIPT = Script()
TASKS = msgspec.convert(SCRIPT.answers["tasks"], TaskPage)
MODELS = {m.id: m for m in msgspec.convert(SCRIPT.answers["models"], ModelPage).data}
NOW = datetime(2026, 11, 22, 12, 6, tzinfo=UTC)


def test_an_eta_is_told_at_the_rate_so_far() -> None:
    view = TaskView(next(task for task in TASKS.data if task.status == "running"))
    rate, eta_s = view.rate_fps(NOW), view.eta_s(NOW)
    assert rate is not None
    assert eta_s is not None
    assert view.expected_frames is not None
    left = view.expected_frames - view.task.progress.processed_frames
    assert eta_s == pytest.approx(left / rate)


def test_a_task_that_succeeded_is_done_whatever_was_expected() -> None:
    first = TASKS.data[0]
    progress = msgspec.structs.replace(first.progress, expected_frames=10**6)
    view = TaskView(msgspec.structs.replace(first, status="succeeded", progress=progress))
    assert view.fraction == 1.0
    assert view.source == "vtest.avi"


def test_a_columns_order_has_first_what_an_operator_looks_for() -> None:
    assert str(api_sort("age", is_reversed=False)) == "-created"
    assert str(api_sort("source", is_reversed=False)) == "source"
    assert str(api_sort("status", is_reversed=True)) == "status"


def test_the_link_backs_off_and_comes_back() -> None:
    link, pauses = ConnectionState(), []
    for _ in range(8):
        link = link.failed(UnreachableError("the api cannot be reached"))
        pauses.append(link.pause_s)
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == MAX_PAUSE_S
    assert link.state == "away"
    assert link.waiting(10).state == "away"
    link = link.answered(0.034)
    assert (link.state, link.latency_ms, link.pause_s) == ("online", 34, 0)
    assert link.waiting(1).state == "online"
    assert link.waiting(4).state == "slow"
    assert link.failed(ApiProblem(401, "unauthorized", "no")).state == "refused"
    assert link.failed(ApiProblem(503, "starting", "soon")).state == "failing"


def test_a_form_and_its_request_are_each_other() -> None:
    values = FormValues(
        source="https://x/y.mp4", mode="interval", value="3", start="1", end="9.5", unit="seconds",
        max_frames="50", hint="cloud", stream=1,
        live={"transport": "udp", "retention_days": 7, "record": {"retention_s": 60}},
        steps=(
            StepValues("detect", {"classes": "pedestrian, bus", "threshold": "0.4"}),
            StepValues("nanodet-g@1.0.0", {}, "bus", "0.5"),
        ),
    )  # fmt: skip
    body = build_body(values, {"type": "video_url", "url": values.source}, MODELS)
    assert read_body(body) == values


def test_every_bad_number_is_named_at_once() -> None:
    values = FormValues(
        value="fast", end="late",
        steps=(StepValues("detect", {"threshold": "low"}), StepValues("ocr", {}, "", "sure")),
    )  # fmt: skip
    with pytest.raises(FormError) as caught:
        build_body(values, {}, MODELS)
    assert set(caught.value.errors) == {
        "input[0].sampling.value", "input[0].range.end", "steps[0].parameters.threshold",
        "steps[1].when.min_confidence",
    }  # fmt: skip


def test_errors_find_the_nearest_field() -> None:
    fields = ["input[0].url", "steps[1].parameters.threshold", "steps[1].parameters"]
    placed, others = place_errors(
        [
            {"field": "steps[1].parameters.threshold", "message": "too large"},
            {"field": "steps[1].parameters.x", "message": "unknown"},
            {"field": "steps[10].model", "message": "no such model"},
        ],
        fields,
    )
    assert placed == {fields[1]: "too large", fields[2]: "unknown"}
    assert others == ["steps[10].model: no such model"]


def test_a_trail_has_the_best_target_and_bounded_points() -> None:
    fold = TrackPaths()
    fold.apply(parse_events(LOG))
    trail = fold.trail(1)
    assert trail is not None
    assert trail.best.confidence == pytest.approx(
        next(t for t in SCRIPT.answers["results"][SCRIPT.log_task]["tracks"] if t["track_id"] == 1)[
            "best_confidence"
        ]
    )
    long = TrackPaths()
    for i in range(10_000):
        long.apply([Event(0, 1, chunk(i, target(7)))])
    kept = long.trail(7)
    assert kept is not None
    assert MAX_POINTS / 2 <= len(kept.points) <= MAX_POINTS
    assert fold.trail(999) is None
    drawn = "".join(
        text for line in trajectory_lines(trail, 768, 576, 40, 16, "t1") for text, _ in line
    )
    assert drawn.count("○") == 1
    assert drawn.count("●") == 1
    assert trajectory_lines(trail, 768, 576, 3, 2, "t1") == []


@given(st.integers(1, 300))
def test_columns_fit_the_width_or_only_the_indispensable_stay(width: int) -> None:
    columns = [
        Column("a", "A", 10),
        Column("b", "B", 8, flex=1, rank=1),
        Column("c", "C", 6, rank=2),
    ]
    shown = fit(columns, width)
    used = sum(cells for _, cells in shown) + GAP * (len(shown) - 1)
    assert used <= width or [place for place, _ in shown] == [0]
    if width >= 28:
        assert len(shown) == 3


@given(st.text(max_size=30), st.integers(0, 40), st.booleans())
def test_a_line_is_cut_or_filled_to_its_width(text: str, width: int, right: bool) -> None:
    clean = "".join(letter for letter in text if letter.isprintable())
    line = fitted(((clean, ""), ("tail", "dim")), width, right=right)
    assert length(line) == width


@given(st.text(min_size=1, max_size=90), st.integers(6, 40))
def test_a_folded_line_loses_nothing_and_fits(text: str, width: int) -> None:
    clean = "".join(letter for letter in text if letter.isalnum())
    lines = folded(((clean, "info"), (clean, "")), width, indent=2)
    assert all(length(line) <= width for line in lines)
    joined = "".join(span for line in lines for span, _ in line).replace(" ", "")
    assert joined == 2 * clean


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_as_wide_as_asked(fraction: float, width: int) -> None:
    done, rest = bar(fraction, width)
    assert len(done) + len(rest) == width


@given(st.floats(0, 1e9))
def test_durations_stay_short(seconds: float) -> None:
    assert len(duration(seconds)) <= 6


def test_words() -> None:
    assert grouped(48213) == "48 213"
    assert size(812) == "812 B"
    assert size(48_213) == "47.1 KiB"
    assert sparkline([0, 1, 2], 5) == "▁▅█"
    assert sparkline([0, 0], 5) == "▁▁"
    assert duration(187) == "3m07s"


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 300), st.integers(1, 100))
def test_a_picture_fits_its_cells(width: int, height: int, cells: int, rows: int) -> None:
    shown = fitting(width, height, cells, rows)
    assert 1 <= shown[0] <= cells
    assert 1 <= shown[1] <= rows


def test_curl_quotes_what_a_shell_would_take_apart() -> None:
    call = calls.submit(
        {"input": [{"type": "video_url", "url": "https://x/it's.mp4"}], "steps": []}
    )
    command = curl(call, "http://127.0.0.1:8080/")
    assert "it'\"'\"'s.mp4" in command
    assert "-X" not in command
    assert curl(calls.cancel("vt_1"), "http://x").startswith("curl -sS -X POST http://x/v1/")


def test_an_export_has_every_column_that_any_row_has() -> None:
    tracks = SCRIPT.answers["tracks"]["data"][:2]
    rows = msgspec.convert(tracks, list[TrackResource])
    data = encode_rows(rows, Path("a.csv"))
    assert data.splitlines()[0].startswith(b"task,track_id,class,")
    with pytest.raises(ValueError, match=r"\.json or \.csv"):
        encode_rows((), Path("a.txt"))


@given(st.lists(st.text("ab 漢", max_size=30), max_size=4), st.integers(2, 20))
def test_words_are_wrapped_whole_and_nothing_is_lost(texts: list[str], width: int) -> None:
    line = tuple((text, "dim") for text in texts)
    rows = wrapped(line, width)
    whole = "".join(text for row in rows for text, _ in row)
    assert whole.replace(" ", "") == "".join(texts).replace(" ", "")
    assert all(length(row) <= width for row in rows)  # else the last word would be cut


def test_a_word_is_split_only_if_no_line_has_room_for_it() -> None:
    rows = wrapped((("one two ", "dim"), ("three four", "bad")), 9)
    assert rows == [(("one ", "dim"), ("two ", "dim")), (("three ", "bad"),), (("four", "bad"),)]
    rows = wrapped((("a /a/path/that/is/long b", ""),), 8)
    assert ["".join(text for text, _ in row) for row in rows] == [
        "a ",
        "/a/path/",
        "that/is/",
        "long b",
    ]
