"""View model of the Tracks tab: a typed search as a call, and its results as rows. Pure."""

from datetime import datetime

import msgspec

from api.contract.query.parser import parse
from api.contract.query.tracks import TRACKS
from api.contract.tracks import TrackPage, TrackResource
from console.client import calls
from console.client.calls import Call
from console.tui.drawing.formatting import duration, grouped, short_id
from console.tui.drawing.styled_text import Line, track_tone
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.task_list import WINDOWS, parse_time
from streamproc.contract.source_label import short_name

PAGE = 100
COLUMNS = (
    Column("track", "TRACK", 6),
    Column("class", "CLASS", 11, flex=1),
    Column("dwell", "DWELL", 6, right=True, rank=1),
    Column("confidence", "CONF", 4, right=True, rank=1),
    Column("frames", "FRAMES", 6, right=True, rank=6),
    Column("when", "SEEN AT", 13, rank=7),
    Column("text", "TEXT", 8, flex=2, rank=2),
    Column("source", "SOURCE", 15, flex=2),
    Column("age", "AGE", 6, right=True, rank=5),
    Column("task", "TASK", 7, rank=3),
)
LIKENESS = Column("likeness", "LIKE", 5, right=True)


class TrackSearch(msgspec.Struct, frozen=True):
    """A track search: a query (`api.contract.query.tracks`) and the age of the tracks' tasks.

    `like_text` are words for what is sought.
    """

    text: str = ""
    window: str = "any time"
    like_text: str | None = None

    @property
    def is_by_likeness(self) -> bool:
        """Whether tracks come by their likeness, to words or to a track of the query."""
        return self.like_text is not None or parse(self.text, TRACKS).like is not None

    def call(self, now: datetime, cursor: str | None = None) -> Call[TrackPage]:
        length_s = WINDOWS[self.window]
        return calls.tracks(
            q=self.text,
            like_text=self.like_text,
            created_from=None
            if length_s is None
            else str(int((now.timestamp() - length_s) * 1000)),
            with_counts=cursor is None,
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
            ((short_name(track.source) if track.source else "", ""),),
            ((duration((now - created).total_seconds()), "dim"),),
            ((short_id(track.task), "dim"),),
            ((f"{max(0.0, 1 - distance):.0%}" if distance is not None else "", "accent"),),
        ),
    )


def track_facts(track: TrackResource) -> list[Line]:
    """Return all known attributes of a track as lines."""
    facts: list[tuple[str, str | None]] = [
        ("video", short_name(track.source) if track.source else None),
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
    captured = parse_time(track.first_seen_at)
    if captured is not None:
        return ((f"{captured.astimezone():%m-%d %H:%M}", "dim"),)
    if track.first_seen_s is None or track.last_seen_s is None:
        return ((f"{track.first_frame}-{track.last_frame}", "dim"),)
    return ((f"{_clock(track.first_seen_s)} {_clock(track.last_seen_s)}", "dim"),)


def _span(track: TrackResource) -> str | None:
    first, last = parse_time(track.first_seen_at), parse_time(track.last_seen_at)
    if first is not None and last is not None:
        return f"{first.astimezone():%Y-%m-%d %H:%M:%S} to {last.astimezone():%Y-%m-%d %H:%M:%S}"
    if track.first_seen_s is None or track.last_seen_s is None:
        return None
    return f"{_clock(track.first_seen_s)} to {_clock(track.last_seen_s)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
