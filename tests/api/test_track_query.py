"""Queries and counts of track lists, over HTTP and real ClickHouse."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.contract.query.tasks import text_matches
from api.contract.query.terms import Among, Compare, Query, Regex, Term, Word, render
from api.contract.query.tracks import TRACKS
from api.ids import new_task_id
from api.store.track_queries import TrackQuery, find_tracks
from api.tasks.submission import now_ms
from models.class_names import public_class
from streamproc.contract import tables
from tests.api.rows import embedding_row, insert, task_row, track_row
from tests.api.server import LiveApi, NewKey, ProjectClient

TEXTS = (None, "AB-12", "ab 7", "100%", "Äb", "x\\y")
CLASSES = ("pedestrian", "automobile", "bus")
PATTERNS = ("^AB", "[0-9]+$", "b", "\\d{2}", ".*", "(?i)ÄB|y")


class Seeded:
    """One project's tracks: every class with every text, of two tasks."""

    def __init__(self, clickhouse: Any, project: str) -> None:
        base_ms = now_ms() - 1_000_000
        self.tasks = [new_task_id(base_ms), new_task_id(base_ms + 1000)]
        self.sources = dict(zip(self.tasks, ("gate-1.mp4", "yard.mp4"), strict=True))
        insert(
            clickhouse,
            tables.TASKS,
            [
                task_row(project, t, source_url=f"https://a.example/{n}", source_name=n, source="a")
                for t, n in self.sources.items()
            ],
        )
        self.tracks = [
            track_row(
                project,
                task,
                n,
                class_name=name,
                text=text,
                dwell_s=float(n),
                best_confidence=round(n / 40, 4),
                frames_seen=n % 7,
            )
            for task in self.tasks
            for n, (name, text) in enumerate((c, t) for c in CLASSES for t in TEXTS)
        ]
        insert(clickhouse, tables.TRACKS, self.tracks)

    def matching(self, query: Query) -> set[tuple[str, int]]:
        """Return the tracks that fit, by a reading of the language that is not SQL."""
        return {
            (track.task_id, track.track_id)
            for track in self.tracks
            if all(self._holds(term, track) for term in query.terms)
        }

    def _holds(self, term: Term, track: tables.TrackRow) -> bool:
        match term:
            case Word(text, negated):
                words = (track.class_name, track.text or "", track.task_id)
                found = any(text.lower() in word.lower() for word in words)
            case Among("class", values, negated):
                names = {name for value in values for name in (value, public_class(value.lower()))}
                found = any(text_matches(n, track.class_name, is_exact=True) for n in names)
            case Among(field, values, negated):
                url = f"https://a.example/{self.sources[track.task_id]}"
                texts = {
                    "text": (track.text or "",),
                    "task": (track.task_id,),
                    "source": (url, self.sources[track.task_id], "a"),
                }[field]
                found = any(text_matches(v, t) for v in values for t in texts if t)
            case Regex(_, pattern, negated):
                found = bool(track.text) and re.search(pattern, track.text or "") is not None
            case Compare(field, op, number, negated):
                value = {
                    "dwell": track.dwell_s,
                    "confidence": track.best_confidence,
                    "frames": track.frames_seen,
                    "age": (now_ms() - track.created_ms) / 1000,
                }[field]
                found = {
                    "<": value < number,
                    "<=": value <= number,
                    ">": value > number,
                    ">=": value >= number,
                }[op]
            case _:
                raise TypeError(term)
        return found != negated


def track_terms() -> st.SearchStrategy[Term]:
    negated = st.booleans()
    letters = st.text("aAbB17*%-ä\\", min_size=1, max_size=3)
    ops = st.sampled_from(["<", "<=", ">", ">="])
    classes = st.sampled_from([*CLASSES, "person", "Car", "b*", "*e*", "none"])
    return st.one_of(
        st.builds(Word, letters | st.sampled_from(CLASSES), negated),
        st.builds(
            Among, st.just("class"), st.tuples(classes) | st.tuples(classes, classes), negated
        ),
        st.builds(Among, st.sampled_from(["text", "task"]), st.tuples(letters), negated),
        st.builds(
            Among,
            st.just("source"),
            st.tuples(st.sampled_from(["gate", "*.mp4", "a", "q"])),
            negated,
        ),
        st.builds(Regex, st.just("text"), st.sampled_from(PATTERNS), negated),
        st.builds(
            Compare,
            st.sampled_from(["dwell", "frames"]),
            ops,
            st.integers(0, 18).map(float),
            negated,
        ),
        st.builds(
            Compare,
            st.just("confidence"),
            ops,
            st.integers(0, 18).map(lambda n: round(n / 40, 4)),
            negated,
        ),
        st.builds(Compare, st.just("age"), ops, st.sampled_from([10.0, 86400.0]), negated),
    )


async def find(client: ProjectClient, **query: Any) -> list[tuple[str, int]]:
    answer = await client.get("/v1/video/tracks", params={"limit": 200, **query})
    assert answer.status_code == 200, answer.text
    return [(track["task"], track["track_id"]) for track in answer.json()["data"]]


@pytest.fixture(scope="module")
def seeded(live: LiveApi, clickhouse: Any) -> Seeded:
    return Seeded(clickhouse, "made_up")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(terms=st.lists(track_terms(), min_size=1, max_size=3))
async def test_sql_finds_what_the_language_says(
    live: LiveApi, seeded: Seeded, terms: list[Term]
) -> None:
    query = Query(tuple(terms))
    wanted = TrackQuery(query=query, as_of_ms=now_ms())
    rows = await find_tracks(live.services.rows, "made_up", wanted, None, 200)
    found = {(row.task_id, row.track_id) for row in rows}
    assert found == seeded.matching(query), render(query, TRACKS)


async def test_tracks_say_the_source_of_their_task(project: ProjectClient, clickhouse: Any) -> None:
    seeded = Seeded(clickhouse, project.project)
    answer = (await project.get("/v1/video/tracks?limit=200&include=counts&q=source:gate*")).json()
    assert {track["source"] for track in answer["data"]} == {"https://a.example/gate-1.mp4"}
    assert {track["task"] for track in answer["data"]} == {seeded.tasks[0]}
    half = len(seeded.tracks) // 2
    assert answer["counts"] == {"matching": half, "all": 2 * half}


async def test_pages_of_a_query_join_up(project: ProjectClient, clickhouse: Any) -> None:
    Seeded(clickhouse, project.project)
    query = {"q": "class:bus,automobile dwell>8"}
    whole = await find(project, **query)
    seen: list[tuple[str, int]] = []
    cursor: dict[str, str] = {}
    while True:
        params: dict[str, Any] = {"limit": 5, **query, **cursor}
        answer = (await project.get("/v1/video/tracks", params=params)).json()
        seen += [(track["task"], track["track_id"]) for track in answer["data"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert seen == whole
    assert len(seen) == 18


async def test_like_orders_by_similarity_and_obeys_the_other_terms(
    project: ProjectClient, clickhouse: Any
) -> None:
    seeded = Seeded(clickhouse, project.project)
    (task, _) = seeded.tasks
    vectors = {0: (1.0, 0.0), 1: (0.6, 0.8), 2: (0.8, 0.6), 8: (0.9, 0.1)}
    rows = [embedding_row(project.project, task, n, vector) for n, vector in vectors.items()]
    insert(clickhouse, tables.EMBEDDINGS, rows)
    assert [track for _, track in await find(project, q=f"like:{task}:0")] == [8, 2, 1]
    assert [track for _, track in await find(project, q=f"like:{task}:0 class:person")] == [2, 1]
    answer = await project.get("/v1/video/tracks", params={"q": f"like:{task}:5"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "q")
    twice = {"q": f"like:{task}:0", "similar_to": f"{task}:0"}
    assert (await project.get("/v1/video/tracks", params=twice)).status_code == 422


@pytest.mark.parametrize("pattern", ["(", "a{1001}", "(?<x", "\\"])
async def test_a_pattern_that_is_none_is_named(project: ProjectClient, pattern: str) -> None:
    answer = await project.get("/v1/video/tracks", params={"q": f"class:bus text~{pattern}"})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error == {
        "field": "q",
        "message": "at character 11 ('text~'): this is no RE2 pattern",
    }


async def test_no_term_reaches_another_project(
    project: ProjectClient, new_key: NewKey, clickhouse: Any
) -> None:
    other, _ = await new_key()
    foreign = Seeded(clickhouse, other)
    task = foreign.tasks[0]
    insert(clickhouse, tables.EMBEDDINGS, [embedding_row(other, task, 0, (1.0, 0.0))])
    # A track of this project whose task only the other one has.
    insert(clickhouse, tables.TRACKS, [track_row(project.project, task, 99)])
    assert await find(project, q="class:person") == [(task, 99)]
    for query in ("class:bus", "text~.*", "source:gate*", "AB", "dwell>=2"):
        assert await find(project, q=query) == [], query
    answer = await project.get("/v1/video/tracks", params={"q": f"like:{task}:0"})
    assert answer.status_code == 422
    answer = (await project.get("/v1/video/tracks", params={"include": "counts"})).json()
    assert answer["counts"] == {"matching": 1, "all": 1}
    assert answer["data"][0]["source"] == ""
