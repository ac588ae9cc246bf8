"""What has no partner is looked for by its vector, with few questions."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from api.contract.models import ModelPage, ModelResource
from api.contract.tracks import TrackPage, TrackResource
from console.client.calls import Call
from console.comparison.fold import ComparisonFold
from console.comparison.likeness import MAX_QUESTIONS, likeness
from console.comparison.report import Comparison
from console.comparison.result import Subject, compared
from console.errors import ApiProblem
from streamproc.contract.chunk import Target
from tests.console.comparison.scenes import Log, Scene, Seen, folded, walk

NO_VECTOR = ApiProblem(422, "invalid_request", "no such track with a feature vector")
A = {n: walk(n, range(30)) for n in range(1, 5)}


class WithVectors(Seen):
    """A track whose targets have a feature vector."""

    def target(self, track: int, frame: int) -> Target:
        plain = super().target(track, frame)
        return msgspec.structs.replace(plain, feature_digest="dim=512")


def with_vectors(scene: Scene) -> Scene:
    return {track: WithVectors(seen.boxes) for track, seen in scene.items()}


def model(kind: str, name: str, *, default: bool = False) -> ModelResource:
    return ModelResource(
        id=f"{name}@1", object="model", name=name, version="1", kind=kind, description="",
        licence="", source="", default=default, classes=[], parameters={}, devices=[],
    )  # fmt: skip


MODELS = ModelPage(
    [
        model("detect", "nanodet", default=True),
        model("feature", "strip512", default=True),
        model("feature", "clip"),
    ]
)


def fold_of(a: Scene, b: Scene, feature: str = "feature") -> tuple[Comparison, ComparisonFold]:
    fold = folded(Log(with_vectors(a)), Log(with_vectors(b)))
    subjects = [
        Subject(task, {"input": [{}], "steps": [{"model": "detect"}, {"model": name}]})
        for task, name in (("vt_a", "feature"), ("vt_b", feature))
    ]
    return compared(fold, *subjects), fold


def track(task: str, number: int, distance: float) -> TrackResource:
    return TrackResource(
        task, number, "pedestrian", 0, 9, 10, 0.9, None, None, None, None, None, None, "",
        distance=distance,
    )  # fmt: skip


class Api:
    """Answers the calls of a search: each track is like number 40 of the other task."""

    def __init__(self, problems: dict[str, ApiProblem] | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.read: list[str] = []
        self.problems = problems or {}

    def search(self, found: Comparison, fold: ComparisonFold) -> Comparison:
        search = likeness(found, fold)
        try:
            call = next(search)
            while True:
                answer = self.answer(call)
                call = (
                    search.throw(answer) if isinstance(answer, ApiProblem) else search.send(answer)
                )
        except StopIteration as end:
            result: Comparison = end.value
            return result

    def answer(self, call: Call[Any]) -> Any:
        query = dict(call.query)
        if call.path.endswith("/models"):
            return MODELS
        if call.path.endswith("/results"):
            self.read.append(call.path.split("/")[-2])
            return None
        like = query["similar_to"]
        self.asked.append((like, query["task"]))
        return self.problems.get(like) or TrackPage([track(query["task"], 40, 0.125)], None)


def test_a_lost_track_and_a_new_one_have_the_nearest_of_the_other_task() -> None:
    b = {10: A[1], 20: A[2], 30: walk(9, range(30))}
    found, fold = fold_of({n: A[n] for n in (1, 2, 3)}, b)
    api = Api()
    seen = api.search(found, fold)
    assert api.asked == [("vt_a:3", "vt_b"), ("vt_b:30", "vt_a")]
    assert sorted(api.read) == ["vt_a", "vt_b"]  # the index has all of both
    assert [(one.kind, one.like, one.distance, one.change) for one in seen.differences] == [
        ("lost", 40, 0.125, "like 40 (0.12)"),
        ("new", 40, 0.125, "like 40 (0.12)"),
    ]
    assert msgspec.structs.replace(seen, differences=()) == msgspec.structs.replace(
        found, differences=()
    )


def test_nothing_is_asked_without_what_could_be_found() -> None:
    for scenes in (({1: A[1]}, {9: A[1]}), ({1: A[1]}, {})):  # a partner; no other vector
        found, fold = fold_of(*scenes)
        api = Api()
        assert api.search(found, fold) == found
        assert api.asked == []
    found, fold = fold_of({1: A[1]}, {2: A[2]}, feature="clip")  # vectors of another space
    api = Api()
    assert api.search(found, fold) == found
    assert api.asked == []


def test_a_track_without_a_vector_stays_as_it_is_and_another_problem_is_raised() -> None:
    found, fold = fold_of({1: A[1], 2: A[2]}, {3: A[3]})
    seen = Api({"vt_a:1": NO_VECTOR}).search(found, fold)
    assert [one.like for one in seen.differences] == [None, 40, 40]
    with pytest.raises(ApiProblem, match="away"):
        Api({"vt_a:2": ApiProblem(503, "clickhouse_unavailable", "away")}).search(found, fold)


def test_the_questions_are_bounded() -> None:
    many = {n: replace(walk(n, range(30))) for n in range(1, MAX_QUESTIONS + 20)}
    found, fold = fold_of(many, {1: walk(500, range(30))})
    api = Api()
    api.search(found, fold)
    assert len(api.asked) == MAX_QUESTIONS
