"""ClickHouse queries on tracks, embeddings and detections: results, search, similarity, boxes."""

import struct

import msgspec
from msgspec.structs import replace

from api.contract.query.terms import Like, Query
from api.http.pagination import TrackCursor
from api.store.clickhouse import Rows, RowsUnavailableError
from api.store.query_conditions import Bindings
from api.store.track_conditions import track_conditions
from streamproc.contract import tables
from streamproc.contract.preview import Box

_COLUMNS = """task_id, track_id, class, first_frame, last_frame, frames_seen, best_confidence,
    feature_digest, text, text_confidence, text_support, first_s, last_s, dwell_s,
    toUnixTimestamp64Milli(created_at), toUnixTimestamp64Milli(first_seen_at),
    toUnixTimestamp64Milli(last_seen_at)"""


class IndexedTrack(msgspec.Struct, frozen=True):
    """A row of `tracks`. `created_ms` is the task's; `distance` is 0 unless it is by likeness."""

    task_id: str
    track_id: int
    class_name: str
    first_frame: int
    last_frame: int
    frames_seen: int
    best_confidence: float
    feature_digest: str | None
    text: str | None
    text_confidence: float | None
    text_support: float | None
    first_s: float
    last_s: float
    dwell_s: float
    created_ms: int
    first_seen_ms: int | None
    last_seen_ms: int | None
    distance: float = 0.0


class LikeVector(msgspec.Struct, frozen=True):
    """A vector to compare tracks with: little-endian float32, of the space of a feature model.

    `model` is that model's `name@version`.
    """

    model: str
    vector: bytes


class TrackQuery(msgspec.Struct, frozen=True):
    """Filter of a track search; None does not filter. Times are the task's creation time.

    `text` is a substring of the track's text, case-insensitive. `similar_to` is a task and a track
    of the same project: the result is then ordered by cosine distance, without that track. `like`
    orders it by the distance to a vector: tracks of tasks whose only feature model is its own. All
    terms of `query` have to match, too; ages are of `as_of_ms`. Its own `like` is not looked at.
    """

    tasks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None
    min_dwell_s: float | None = None
    min_confidence: float | None = None
    text: str | None = None
    similar_to: tuple[str, int] | None = None
    like: LikeVector | None = None
    query: Query = Query()
    as_of_ms: int = 0

    @property
    def is_by_likeness(self) -> bool:
        """Whether tracks have a distance and come nearest first."""
        return self.similar_to is not None or self.like is not None

    @property
    def is_open(self) -> bool:
        """Whether every track of the project matches; likeness only orders them."""
        filters = tuple(term for term in self.query.terms if not isinstance(term, Like))
        plain = replace(self, similar_to=None, like=None, query=Query(filters), as_of_ms=0)
        return plain == TrackQuery()


async def tracks_of_task(
    rows: Rows, project: str, task: str, *, after: int = -1, limit: int | None = None
) -> list[IndexedTrack]:
    """Return a task's tracks by track id: all of them, or `limit` of those after one."""
    most = "" if limit is None else f"LIMIT {limit:d}"
    found = await rows.query(
        f"""SELECT {_COLUMNS} FROM {tables.TRACKS} FINAL
        WHERE project = {{project:String}} AND task_id = {{task:String}}
        AND track_id > {{after:Int64}} ORDER BY track_id {most}""",  # noqa: S608 - constants
        {"project": project, "task": task, "after": after},
    )
    return [IndexedTrack(*row) for row in found]


async def has_vector(rows: Rows, project: str, task: str, track: int) -> bool:
    """Return whether the track has a feature vector."""
    found = await rows.query(
        f"""SELECT 1 FROM {tables.EMBEDDINGS}
        WHERE project = {{project:String}} AND task_id = {{task:String}}
        AND track_id = {{track:UInt32}} LIMIT 1""",  # noqa: S608 - constants
        {"project": project, "task": task, "track": track},
    )
    return bool(found)


async def find_tracks(
    rows: Rows, project: str, query: TrackQuery, after: TrackCursor | None, limit: int
) -> list[IndexedTrack]:
    """Return the matching tracks, newest task first; by likeness, nearest first."""
    where, parameters = _conditions(project, query)
    parameters["limit"] = limit
    if not query.is_by_likeness:
        if after is not None:
            where += """ AND (-toUnixTimestamp64Milli(created_at), task_id, track_id)
                > ({after_order:Int64}, {after_id:String}, {after_track:UInt32})"""
            parameters |= {
                "after_order": -after.created_ms,
                "after_id": after.task_id,
                "after_track": after.track_id,
            }
        sql = f"""SELECT {_COLUMNS} FROM {tables.TRACKS} FINAL WHERE {where}
            ORDER BY -toUnixTimestamp64Milli(created_at), task_id, track_id
            LIMIT {{limit:UInt32}}"""  # noqa: S608 - constants and bound parameters
    else:
        page = ""
        if after is not None:
            page = """WHERE (distance, task_id, track_id)
                > ({after_order:Float64}, {after_id:String}, {after_track:UInt32})"""
            parameters |= {
                "after_order": after.order,
                "after_id": after.task_id,
                "after_track": after.track_id,
            }
        wanted, among, more = _wanted(query)
        parameters |= more
        sql = f"""SELECT * FROM (
                SELECT {_COLUMNS}, distance FROM {tables.TRACKS} FINAL
                INNER JOIN (
                    SELECT task_id, track_id, cosineDistance(vector, {wanted}) AS distance
                    FROM {tables.EMBEDDINGS} FINAL
                    WHERE project = {{project:String}} AND length(vector) = length({wanted})
                    AND {among}
                ) AS near USING (task_id, track_id)
                WHERE {where}
            ) {page}
            ORDER BY distance, task_id, track_id LIMIT {{limit:UInt32}}"""  # noqa: S608
    return [IndexedTrack(*row) for row in await rows.query(sql, parameters)]


def _wanted(query: TrackQuery) -> tuple[str, str, dict[str, object]]:
    """Return the vector to compare with, the condition on embeddings, and their parameters."""
    if query.like is not None:
        numbers = struct.unpack(f"<{len(query.like.vector) // 4}f", query.like.vector)
        # Numbers in the statement itself: as a parameter, they would be a URL of 80 KiB.
        wanted = f"CAST([{','.join(map(repr, numbers))}], 'Array(Float32)')"
        among = f"""task_id IN (
                        SELECT task_id FROM {tables.TASKS} FINAL
                        WHERE project = {{project:String}} AND has(models, {{like_model:String}})
                        AND arrayAll(
                            (step, model) -> step != 'feature' OR model = {{like_model:String}},
                            steps, models
                        )
                    )"""  # noqa: S608 - constants
        return wanted, among, {"like_model": query.like.model}
    task, track = query.similar_to or ("", 0)
    wanted = f"""(
                        SELECT vector FROM {tables.EMBEDDINGS} FINAL
                        WHERE project = {{project:String}} AND task_id = {{like_task:String}}
                        AND track_id = {{like_track:UInt32}} LIMIT 1
                    )"""  # noqa: S608 - constants
    among = "(task_id, track_id) != ({like_task:String}, {like_track:UInt32})"
    return wanted, among, {"like_task": task, "like_track": track}


async def is_pattern(rows: Rows, pattern: str) -> bool:
    """Return whether ClickHouse can compile the regular expression."""
    try:
        await rows.query("SELECT match(materialize('x'), {p:String})", {"p": pattern})
    except RowsUnavailableError as exc:
        if "CANNOT_COMPILE_REGEXP" in str(exc.__cause__):
            return False
        raise
    return True


async def count_tracks(rows: Rows, project: str, query: TrackQuery, at_most: int) -> int:
    """Return how many tracks match, at most `at_most`; similarity does not matter."""
    where, parameters = _conditions(project, query)
    ((count,),) = await rows.query(
        f"""SELECT count() FROM (SELECT 1 FROM {tables.TRACKS} FINAL WHERE {where}
        LIMIT {{limit:UInt32}})""",  # noqa: S608 - constants and bound parameters
        {**parameters, "limit": at_most},
    )
    return int(count)


def _conditions(project: str, query: TrackQuery) -> tuple[str, dict[str, object]]:
    """Return the condition on a row, and its parameters."""
    bindings = Bindings(project=project)
    conditions = ["project = {project:String}"]
    for name, value, condition in (
        ("tasks", list(query.tasks) or None, "task_id IN {tasks:Array(String)}"),
        ("classes", list(query.classes) or None, "class IN {classes:Array(String)}"),
        ("from_ms", query.from_ms, "created_at >= fromUnixTimestamp64Milli({from_ms:Int64})"),
        ("to_ms", query.to_ms, "created_at < fromUnixTimestamp64Milli({to_ms:Int64})"),
        ("min_dwell_s", query.min_dwell_s, "dwell_s >= {min_dwell_s:Float64}"),
        ("min_confidence", query.min_confidence, "best_confidence >= {min_confidence:Float64}"),
        ("text", query.text, "positionCaseInsensitiveUTF8(ifNull(text, ''), {text:String}) > 0"),
    ):
        if value is not None:
            conditions.append(condition)
            bindings.values[name] = value
    conditions += track_conditions(query.query, bindings, query.as_of_ms)
    return " AND ".join(conditions), bindings.values


_MAX_BOXES = 1000


async def boxes_of_frame(rows: Rows, project: str, task: str, frame: int) -> tuple[Box, ...]:
    """Return the frame's boxes in the order of its chunk; none if it is not indexed."""
    found = await rows.query(
        f"""SELECT track_id, class, text, left, top, width, height
        FROM {tables.DETECTIONS} FINAL
        WHERE project = {{project:String}} AND task_id = {{task:String}}
        AND frame = {{frame:UInt64}} ORDER BY det_idx LIMIT {_MAX_BOXES}""",  # noqa: S608 - constants
        {"project": project, "task": task, "frame": frame},
    )
    return tuple(
        Box(track, text or class_name, left, top, width, height)
        for track, class_name, text, left, top, width, height in found
    )
