"""Properties of comparisons, and planted faults counted by motmetrics, too."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from console.comparison.verdicts import Verdicts
from tests.console.comparison.scenes import Box, Scene, Seen, compared, kinds, walk

N_FRAMES = 20
CLASSES = st.sampled_from(["pedestrian", "automobile"])
TEXTS = st.sampled_from([None, "AB 12", "XY"])
# A small field and few sizes: boxes overlap, coincide and have no area.
BOXES = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 6), st.integers(0, 6))
TRACKS = st.builds(
    Seen,
    st.dictionaries(st.integers(0, N_FRAMES - 1), BOXES, min_size=1, max_size=8),
    CLASSES,
    TEXTS,
)
SCENES = st.dictionaries(st.integers(1, 6), TRACKS, max_size=6)

Fault = Literal["none", "lost", "new", "split", "merged", "swap", "class", "text"]


@given(SCENES)
def test_a_task_does_not_differ_from_itself(scene: Scene) -> None:
    verdicts = compared(scene, scene, N_FRAMES)
    assert verdicts.differences == ()
    assert len(verdicts.matches) == len(scene)
    assert all(match.iou == 1 for match in verdicts.matches)


@given(SCENES, st.permutations(range(1, 7)))
def test_other_ids_are_no_difference(scene: Scene, ids: list[int]) -> None:
    renamed = {ids[track - 1]: seen for track, seen in scene.items()}
    assert compared(scene, renamed, N_FRAMES).differences == ()


@given(SCENES, SCENES)
def test_partners_are_one_to_one_and_no_partner_is_lost_or_new(a: Scene, b: Scene) -> None:
    verdicts = compared(a, b, N_FRAMES)
    for matched, unfound in (
        ([match.a for match in verdicts.matches], tracks(verdicts, "lost")),
        ([match.b for match in verdicts.matches], tracks(verdicts, "new")),
    ):
        assert len(set(matched)) == len(matched)
        assert len(set(unfound)) == len(unfound)
        assert not set(matched) & set(unfound)


def tracks(verdicts: Verdicts, kind: str) -> list[int]:
    return [track for d in verdicts.differences if d.kind == kind for track in (*d.a, *d.b)]


@dataclass(frozen=True)
class Plan:
    """A fault in one lane (a swap needs two), at a frame."""

    fault: Fault
    at: int
    jitter: int


PLANS = st.lists(
    st.builds(
        Plan,
        st.sampled_from(["none", "lost", "new", "split", "merged", "swap", "class", "text"]),
        st.integers(3, N_FRAMES - 4),
        st.integers(-3, 3),
    ),
    max_size=5,
)


def planted(plans: list[Plan]) -> tuple[Scene, Scene, list[tuple[str, int, int]]]:
    """Return two scenes, and the differences between them: kind, tracks of a, tracks of b."""
    a: dict[int, Seen] = {}
    b: dict[int, Seen] = {}
    expected: list[tuple[str, int, int]] = []
    for n, plan in enumerate(plans):
        lane, at, whole = 2 * n, plan.at, range(N_FRAMES)
        one = walk(lane, whole, class_name="truck", text="AB")
        near = Seen(
            {f: (x + plan.jitter, y, w, h) for f, (x, y, w, h) in one.boxes.items()}, "truck", "AB"
        )
        first, second = 10 * n + 1, 10 * n + 2
        parts = {first + 50: near.only(range(at)), second + 50: near.only(range(at, N_FRAMES))}
        a[first], b[first + 50] = one, near
        match plan.fault:
            case "lost":
                del b[first + 50]
                expected.append(("lost", 1, 0))
            case "new":
                del a[first]
                expected.append(("new", 0, 1))
            case "split":
                b |= parts
                expected.append(("split", 1, 2))
            case "merged":
                a |= {track - 50: part for track, part in parts.items()}
                expected.append(("merged", 2, 1))
            case "swap":
                other = walk(lane + 1, whole, class_name="truck", text="AB")
                a[second] = other
                b[first + 50] = crossing(near, other, at)
                b[second + 50] = crossing(other, near, at)
                expected += [("switched", 2, 1)] * 2
            case "class":
                b[first + 50] = Seen(near.boxes, "bus", "AB")
                expected.append(("class", 1, 1))
            case "text":
                b[first + 50] = Seen(near.boxes, "truck", "AC")
                expected.append(("text", 1, 1))
            case "none":
                pass
    return a, b, expected


def distance(one: Box, other: Box) -> float:
    """Return 1 - IoU, NaN for an IoU below .5; motmetrics' own function needs numpy 1."""
    (x, y, w, h), (x2, y2, w2, h2) = one, other
    common = max(0, min(x + w, x2 + w2) - max(x, x2)) * max(0, min(y + h, y2 + h2) - max(y, y2))
    iou = common / (w * h + w2 * h2 - common)
    return 1 - iou if iou >= 0.5 else math.nan


def crossing(one: Seen, other: Seen, at: int) -> Seen:
    boxes = {f: (one if f < at else other).boxes[f] for f in range(N_FRAMES)}
    return Seen(boxes, "truck", "AB")


def found(verdicts: Verdicts) -> list[tuple[str, int, int]]:
    return sorted((one.kind, len(one.a), len(one.b)) for one in verdicts.differences)


@given(PLANS)
def test_planted_faults_are_found_and_nothing_else(plans: list[Plan]) -> None:
    a, b, expected = planted(plans)
    verdicts = compared(a, b, N_FRAMES)
    assert found(verdicts) == sorted(expected)
    at = {plan.at for plan in plans if plan.fault in {"split", "merged", "swap"}}
    assert {
        one.frame for one in verdicts.differences if one.kind in {"split", "merged", "switched"}
    } == at


@given(PLANS)
def test_the_other_way_round_lost_is_new_and_split_is_merged(plans: list[Plan]) -> None:
    a, b, _ = planted(plans)
    there, back = Counter(kinds(compared(a, b, N_FRAMES))), Counter(kinds(compared(b, a, N_FRAMES)))
    for kind, other in (("lost", "new"), ("split", "merged"), ("class", "class"), ("text", "text")):
        assert there[kind] == back[other]
        assert there[other] == back[kind]
    assert there["switched"] == back["switched"]


@given(PLANS)
def test_motmetrics_counts_the_same_switches_misses_and_false_positives(plans: list[Plan]) -> None:
    import motmetrics

    a, b, _ = planted(plans)
    events = motmetrics.MOTAccumulator(auto_id=True)
    for frame in range(N_FRAMES):
        ours = [(track, seen.boxes[frame]) for track, seen in a.items() if frame in seen.boxes]
        theirs = [(track, seen.boxes[frame]) for track, seen in b.items() if frame in seen.boxes]
        distances = [[distance(one, other) for _, other in theirs] for _, one in ours]
        events.update([track for track, _ in ours], [track for track, _ in theirs], distances)
    counts = (
        motmetrics.metrics.create()
        .compute(events, metrics=["num_switches", "num_misses", "num_false_positives"])
        .iloc[0]
    )
    differences = compared(a, b, N_FRAMES).differences
    by_kind = Counter(one.kind for one in differences)
    frames = Counter({"lost": 0, "new": 0})
    for one in differences:
        frames[one.kind] += one.frames
    # Of mergers an identity metric of the second task sees nothing: its one track goes on.
    assert counts["num_switches"] == by_kind["split"] + by_kind["switched"]
    assert counts["num_misses"] == frames["lost"]
    assert counts["num_false_positives"] == frames["new"]
