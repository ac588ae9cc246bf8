"""View model of the Tracks tab: a typed search as a call, and its results as rows. Pure."""

from datetime import datetime

import msgspec

from api.contract.resources import TrackPage, TrackResource
from console.client import calls
from console.client.calls import Call
from console.tui.drawing.formatting import duration, grouped, short_id
from console.tui.drawing.styled_text import Line, track_tone
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.submit_form import FormError
from console.tui.view_models.task_list import WINDOWS, parse_time

PAGE = 100
COLUMNS = (
    Column("track", "TRACK", 6),
    Column("class", "CLASS", 11, flex=1),
    Column("dwell", "DWELL", 6, right=True),
    Column("confidence", "CONF", 4, right=True),
    Column("frames", "FRAMES", 6, right=True, rank=5),
    Column("when", "SEEN AT", 13, rank=6),
    Column("text", "TEXT", 8, flex=2, rank=2),
    Column("age", "AGE", 6, right=True, rank=3),
    Column("task", "TASK", 7),
)
LIKENESS = Column("likeness", "LIKE", 5, right=True)


class TrackSearch(msgspec.Struct, frozen=True):
    """Typed search fields; `similar_to` is `task:track`."""

    class_name: str = ""
    text: str = ""
    min_dwell: str = ""
    min_confidence: str = ""
    window: str = "any time"
    similar_to: str | None = None

    def call(self, now: datetime, cursor: str | None = None) -> Call[TrackPage]:
        """Return the call; raises `FormError` with the fields that are no numbers."""
        errors: dict[str, str] = {}
        dwell_s = _number(self.min_dwell, "min_dwell", errors)
        confidence = _number(self.min_confidence, "min_confidence", errors)
        if errors:
            raise FormError(errors)
        length_s = WINDOWS[self.window]
        return calls.tracks(
            class_name=self.class_name.strip() or None,
            text=self.text.strip() or None,
            min_dwell_s=dwell_s,
            min_confidence=confidence,
            similar_to=self.similar_to,
            created_from=None
            if length_s is None
            else str(int((now.timestamp() - length_s) * 1000)),
            cursor=cursor,
            limit=PAGE,
        )


def track_key(track: TrackResource) -> str:
    """Return the track's globally unique key, `task:track`, as used by `similar_to`."""
    return f"{track.task}:{track.track_id}"


def track_row(track: TrackResource, now: datetime) -> Row:
    """Return the track's row, in the order of `COLUMNS`, with its likeness last."""
    tone = track_tone(track.track_id)
    created = parse_time(track.created_at) or now
    distance = track.distance if isinstance(track.distance, float) else None
    return Row(
        track_key(track),
        (
            ((f"#{track.track_id}", f"{tone}!"),),
            ((track.class_name, tone),),
            ((duration(track.dwell_s), "!"),),
            ((f"{track.best_confidence:.2f}", ""),),
            ((grouped(track.frames_seen), "dim"),),
            _seen(track),
            ((track.text or "", "good"),),
            ((duration((now - created).total_seconds()), "dim"),),
            ((short_id(track.task), "dim"),),
            ((f"{max(0.0, 1 - distance):.0%}" if distance is not None else "", "accent"),),
        ),
    )


def track_facts(track: TrackResource, source: str | None) -> list[Line]:
    """Return all known attributes of a track as lines."""
    facts: list[tuple[str, str | None]] = [
        ("video", source),
        ("task", track.task),
        (
            "frames",
            (
                f"{grouped(track.first_frame)} to {grouped(track.last_frame)}, seen in "
                f"{grouped(track.frames_seen)}"
            ),
        ),
        ("in view", _span(track)),
        ("dwell", duration(track.dwell_s)),
        ("best", f"{track.best_confidence:.4f}"),
        ("text", _text(track)),
        ("feature", track.feature_digest),
    ]
    title: Line = (
        (f"#{track.track_id} ", f"{track_tone(track.track_id)}!"),
        (track.class_name, f"{track_tone(track.track_id)}!"),
    )
    return [title, *(((f"{name:<8} ", "dim"), (value, "")) for name, value in facts if value)]


def _text(track: TrackResource) -> str | None:
    if not track.text:
        return None
    support = "" if track.text_support is None else f", {track.text_support:.0%} of the votes"
    return f"{track.text} ({track.text_confidence or 0:.2f}{support})"


def _seen(track: TrackResource) -> Line:
    if track.first_seen_s is None or track.last_seen_s is None:
        return ((f"{track.first_frame}-{track.last_frame}", "dim"),)
    return ((f"{_clock(track.first_seen_s)} {_clock(track.last_seen_s)}", "dim"),)


def _span(track: TrackResource) -> str | None:
    if track.first_seen_s is None or track.last_seen_s is None:
        return None
    return f"{_clock(track.first_seen_s)} to {_clock(track.last_seen_s)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _number(text: str, field: str, errors: dict[str, str]) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        errors[field] = f"{text!r} is not a number"
        return None
