"""The first frame that differs, against a plain count over all frames."""

from hypothesis import given

from console.comparison.fold import ComparisonFold
from console.comparison.frames import SeenFrame, boxes_of, overlaps
from console.comparison.report import Comparison
from console.comparison.result import Subject, compared
from streamproc.contract.text_vote import same_spelling
from tests.console.comparison.scenes import Log, Scene, Seen, folded, walk
from tests.console.comparison.test_properties import N_FRAMES, SCENES

REQUEST = {"input": [{"url": "file:///a.mp4"}], "steps": [{"model": "detect"}]}


def differs(a: SeenFrame, b: SeenFrame) -> bool:
    """Whether a target of either frame has no like in the other, or their numbers differ."""
    ious = overlaps(boxes_of(a.targets), boxes_of(b.targets))
    alike = [
        [
            bool(ious[i, j] >= 0.5)
            and ours.class_name == theirs.class_name
            and same_spelling(ours.text or None, theirs.text or None)
            for j, theirs in enumerate(b.targets)
        ]
        for i, ours in enumerate(a.targets)
    ]
    all_ours = all(any(row) for row in alike)
    all_theirs = all(any(row[j] for row in alike) for j in range(len(b.targets)))
    return not (len(a.targets) == len(b.targets) and all_ours and all_theirs)


@given(SCENES, SCENES)
def test_a_frame_differs_if_its_targets_do(a: Scene, b: Scene) -> None:
    logs = Log(a, N_FRAMES), Log(b, N_FRAMES)
    fold = folded(*logs)
    pairs = zip(logs[0].frames(), logs[1].frames(), strict=True)
    wanted = [place for place, (one, other) in enumerate(pairs) if differs(one, other)]
    assert fold.n_differing == len(wanted)
    assert fold.first_differing == (wanted[0] if wanted else None)


@given(SCENES)
def test_no_frame_of_a_task_differs_from_itself(scene: Scene) -> None:
    found = result(folded(Log(scene, N_FRAMES), Log(scene, N_FRAMES)))
    assert (found.first, found.differing_frames) == (None, 0)


def test_the_first_frame_is_told_with_both_indices_its_time_and_its_bytes() -> None:
    one = walk(1, range(30))
    late = {5: one, 6: walk(2, range(12, 30))}
    found = result(folded(Log({1: one}), Log(late, shift=3), same_source=False))
    assert found.first is not None
    assert (found.first.frame, found.first.frame_b, found.first.time_s) == (12, 15, 1.2)
    assert (found.first.offset, found.first.offset_b) == (1200, 1200)
    assert found.differing_frames == 18


def test_where_only_ids_differ_the_first_frame_is_that_of_the_tracks() -> None:
    one, two = walk(1, range(30)), walk(2, range(30))
    swapped = {
        1: Seen({n: (one if n < 12 else two).boxes[n] for n in range(30)}),
        2: Seen({n: (two if n < 12 else one).boxes[n] for n in range(30)}),
    }
    found = result(folded(Log({1: one, 2: two}), Log(swapped)))
    assert found.differing_frames == 0
    assert found.first is not None
    assert found.first.frame == 12
    assert "; frame 12 is the first that differs" in found.summary


def result(fold: ComparisonFold) -> Comparison:
    return compared(fold, Subject("vt_a", REQUEST), Subject("vt_b", REQUEST))
