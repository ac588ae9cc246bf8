"""Planted faults are found, each by its name, and nothing else."""

import pytest

from console.comparison.verdicts import judged
from tests.console.comparison.scenes import Box, Log, Seen, compared, folded, kinds, walk

TWO = {1: walk(1, range(30)), 2: walk(2, range(5, 25))}


def test_equal_tasks_have_no_difference() -> None:
    verdicts = compared(TWO, TWO)
    assert verdicts.differences == ()
    assert [(m.a, m.b, m.frames, m.iou) for m in verdicts.matches] == [(1, 1, 30, 1), (2, 2, 20, 1)]


def test_a_lost_track_and_a_new_one() -> None:
    verdicts = compared(TWO, {7: TWO[1]})
    (lost,) = verdicts.differences
    assert (lost.kind, lost.a, lost.b) == ("lost", (2,), ())
    assert (lost.frame, lost.time_s, lost.frames, lost.of_frames) == (5, 0.5, 20, 20)
    (new,) = compared({7: TWO[1]}, TWO).differences
    assert (new.kind, new.a, new.b, new.frame) == ("new", (), (2,), 5)


def test_a_track_that_is_found_in_fewer_than_half_of_its_frames_is_lost() -> None:
    half = {1: TWO[1].only(range(15))}
    assert kinds(compared({1: TWO[1]}, half)) == []
    (lost,) = compared({1: TWO[1]}, {1: TWO[1].only(range(14))}).differences
    assert (lost.kind, lost.frame, lost.frames, lost.of_frames) == ("lost", 14, 16, 30)


def test_a_split_names_all_parts_and_where_the_second_begins() -> None:
    parts = {4: TWO[1].only(range(10)), 9: TWO[1].only(range(12, 29)), 5: TWO[1].only([29])}
    (split,) = compared({1: TWO[1]}, parts).differences
    assert (split.kind, split.a, split.b, split.frame) == ("split", (1,), (4, 9, 5), 12)
    (merged,) = compared(parts, {1: TWO[1]}).differences
    assert (merged.kind, merged.a, merged.b, merged.frame) == ("merged", (4, 9, 5), (1,), 12)


def test_a_swap_of_two_identities_is_two_switches() -> None:
    one, two = walk(1, range(30)), walk(2, range(30))
    swapped = {
        1: Seen({n: (one if n < 12 else two).boxes[n] for n in range(30)}),
        2: Seen({n: (two if n < 12 else one).boxes[n] for n in range(30)}),
    }
    verdicts = compared({1: one, 2: two}, swapped)
    assert kinds(verdicts) == ["switched", "switched"]
    assert [(d.a, d.b, d.frame) for d in verdicts.differences] == [
        ((1, 2), (1,), 12),
        ((2, 1), (2,), 12),
    ]


def test_one_frame_of_another_object_is_no_switch() -> None:
    one, two = walk(1, range(30)), walk(2, range(30))
    flicker = {
        1: Seen({n: (two if n == 12 else one).boxes[n] for n in range(30)}),
        2: Seen({n: (one if n == 12 else two).boxes[n] for n in range(30)}),
    }
    assert kinds(compared({1: one, 2: two}, flicker)) == []


def test_a_changed_class_and_a_changed_text() -> None:
    seen = {1: walk(1, range(30), class_name="automobile", text="AB 123")}
    read = {1: walk(1, range(30), class_name="truck", text="AB 128")}
    verdicts = compared(seen, read)
    assert [(d.kind, d.before, d.after) for d in verdicts.differences] == [
        ("class", "automobile", "truck"),
        ("text", "AB 123", "AB 128"),
    ]
    assert [(m.a, m.b) for m in verdicts.matches] == [(1, 1)]


@pytest.mark.parametrize(("before", "after"), [("AB 123", "ab123"), (None, " ")])
def test_case_and_blanks_make_no_other_text(before: str | None, after: str | None) -> None:
    a = {1: Seen(walk(1, range(30)).boxes, text=before)}
    b = {1: Seen(walk(1, range(30)).boxes, text=after)}
    assert kinds(compared(a, b)) == []


def test_a_text_that_is_read_in_one_task_alone_is_a_difference() -> None:
    (change,) = compared({1: walk(1, range(3), text="STOP")}, {1: walk(1, range(3))}, 3).differences
    assert (change.kind, change.before, change.after) == ("text", "STOP", None)


def test_an_object_of_the_same_class_is_the_partner_of_two_that_overlap() -> None:
    rider = Seen(dict.fromkeys(range(10), (10, 10, 40, 90)), "pedestrian")
    bicycle = Seen(dict.fromkeys(range(10), (12, 30, 40, 75)), "bicycle")
    assert kinds(compared({1: rider, 2: bicycle}, {8: bicycle, 9: rider}, 10)) == []
    (lost,) = compared({1: rider, 2: bicycle}, {8: bicycle}, 10).differences
    assert (lost.kind, lost.a) == ("lost", (1,))


def test_an_object_of_the_same_class_is_the_partner_though_another_one_overlaps_more() -> None:
    boxes: list[Box] = [(10, 10, 40, 90), (12, 30, 40, 75), (12, 28, 40, 76), (10, 12, 40, 88)]
    rider, bicycle, rider_b, bicycle_b = (
        Seen(dict.fromkeys(range(10), box), name)
        for box, name in zip(boxes, ["pedestrian", "bicycle"] * 2, strict=True)
    )
    assert kinds(compared({1: rider, 2: bicycle}, {1: rider_b, 2: bicycle_b}, 10)) == []


def test_what_is_touched_in_passing_is_no_partner() -> None:
    one = walk(1, range(30))
    far = Seen({n: (one.boxes[29] if n == 29 else (500, 700, 30, 60)) for n in range(30)})
    parts = {1: one.only(range(20)), 2: one.only(range(20, 30))}
    differences = compared({1: one, 9: far}, parts).differences
    assert [(d.kind, d.a) for d in differences] == [("lost", (9,)), ("split", (1,))]


def test_identities_that_are_swapped_while_their_boxes_are_one_are_two_switches() -> None:
    one, two = walk(1, range(30)), walk(2, range(30))
    together = range(10, 15)
    a = {
        1: Seen({n: one.boxes[n] for n in range(30)}),
        2: Seen({n: (one if n in together else two).boxes[n] for n in range(30)}),
    }
    b = {
        1: Seen({n: a[1 if n < 12 else 2].boxes[n] for n in range(30)}),
        2: Seen({n: a[2 if n < 12 else 1].boxes[n] for n in range(30)}),
    }
    assert kinds(compared(a, b)) == ["switched", "switched"]


def test_boxes_that_overlap_less_than_the_limit_are_not_one_object() -> None:
    a = {1: Seen(dict.fromkeys(range(10), (0, 0, 100, 100)))}
    b = {1: Seen(dict.fromkeys(range(10), (50, 0, 100, 100)))}  # IoU 1/3
    assert sorted(kinds(compared(a, b, 10))) == ["lost", "new"]
    fold = folded(Log(a, 10), Log(b, 10), min_iou=1 / 3)
    assert kinds(judged(fold)) == []


def test_boxes_without_area_are_the_same_where_they_are_equal() -> None:
    line = {1: Seen({n: (n, 5, 0, 40) for n in range(10)})}
    other = {1: Seen({n: (n + 1, 5, 0, 40) for n in range(10)})}
    assert kinds(compared(line, line, 10)) == []
    assert sorted(kinds(compared(line, other, 10))) == ["lost", "new"]


def test_frames_of_one_task_alone_are_counted_and_not_compared() -> None:
    short = Seen(walk(1, [1, 2, 3]).boxes)
    fold = folded(Log({1: TWO[1], 2: short}), Log(TWO | {2: TWO[2]}, step=5))
    assert (fold.n_common, fold.n_only_a, fold.n_only_b) == (6, 24, 0)
    assert [one.a for one in judged(fold).differences if one.kind == "lost"] == []
    assert [one.b for one in judged(fold).differences] == [(2,)]


def test_two_videos_are_matched_by_time() -> None:
    ours = Log(TWO)
    theirs = Log(TWO, shift=1000)
    by_frame = folded(ours, theirs)
    assert (by_frame.matched_by, by_frame.n_common) == ("frame", 0)
    by_time = folded(ours, theirs, same_source=False)
    assert (by_time.matched_by, by_time.n_common) == ("time", 30)
    assert judged(by_time).differences == ()
    assert by_time.moment(3) == (3, 1003, 0.3, 300, 300)


@pytest.mark.parametrize(("delay_s", "n_common"), [(0.049, 30), (-0.049, 30), (0.051, 29)])
def test_times_match_to_half_a_frame(delay_s: float, n_common: int) -> None:
    fold = folded(Log(TWO), Log(TWO, delay_s=delay_s), same_source=False)
    assert fold.n_common == n_common  # one less: the frame before is nearer


def test_indices_that_are_estimates_are_not_matched() -> None:
    fold = folded(Log(TWO), Log(TWO, shift=2, estimates=True))
    assert (fold.matched_by, fold.n_common) == ("time", 30)


def test_logs_without_times_are_matched_by_frame() -> None:
    fold = folded(Log(TWO, timed=False), Log(TWO), same_source=False)
    assert (fold.matched_by, fold.n_common) == ("frame", 30)
    (lost,) = judged(folded(Log(TWO, timed=False), Log({1: TWO[1]}))).differences
    assert lost.time_s is None
