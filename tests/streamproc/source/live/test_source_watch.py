"""When a loss is told, and what is known of a source meanwhile."""

from streamproc.source.live.source_watch import LossNotice, Rate, SourceWatch


def seen(one: SourceWatch, *times_s: float) -> None:
    for time_s in times_s:
        one.seen(time_s, time_s, is_key=time_s == int(time_s))


def test_a_loss_is_told_after_two_seconds_and_once() -> None:
    one = SourceWatch(0.0, has_worked=False)
    seen(one, 1.0, 1.5)
    one.lost("source_unreachable", 1, 2.0)
    assert one.notice(3.9) is None
    one.lost("source_unreachable", 4, 3.9)
    assert one.notice(4.0) == LossNotice("source_unreachable", 4)
    assert one.notice(500.0) is None


def test_a_short_loss_is_not_told() -> None:
    one = SourceWatch(0.0, has_worked=False)
    seen(one, 1.0)
    one.lost("source_unreachable", 1, 2.0)
    seen(one, 3.5)
    assert one.notice(9.0) is None
    assert (one.state, one.since_s, one.code) == ("live", 3.5, None)


def test_another_reason_is_told_but_one_a_minute() -> None:
    one = SourceWatch(0.0, has_worked=False)
    seen(one, 1.0)
    one.lost("source_unreachable", 1, 2.0)
    assert one.notice(5.0) is not None
    one.lost("source_timeout", 9, 30.0)
    assert one.notice(64.9) is None
    assert one.notice(65.0) == LossNotice("source_timeout", 9)
    seen(one, 70.0)
    one.lost("source_timeout", 1, 71.0)
    assert one.notice(124.0) is None
    assert one.notice(125.0) == LossNotice("source_timeout", 1)


def test_a_source_that_never_worked_is_connecting_and_not_told() -> None:
    one = SourceWatch(0.0, has_worked=False)
    one.lost("source_unreachable", 1, 0.1)
    assert (one.state, one.code, one.notice(50.0)) == ("connecting", "source_unreachable", None)
    taken_over = SourceWatch(0.0, has_worked=True)
    taken_over.lost("source_unreachable", 1, 0.1)
    assert taken_over.notice(2.2) == LossNotice("source_unreachable", 1)


def test_sessions_rates_and_keyframes_are_counted() -> None:
    one = SourceWatch(0.0, has_worked=False)
    assert (one.n_reconnects, one.keyframe_interval_s) == (0, None)
    one.connected()
    seen(one, 1.0, 1.5, 2.0, 2.5, 4.0)
    assert one.keyframe_interval_s == 2.0
    one.lost("source_timeout", 1, 9.0)
    one.connected()
    seen(one, 20.0)
    assert (one.n_reconnects, one.keyframe_interval_s) == (1, 2.0)


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    rate = Rate()
    assert rate.per_s(0.0) is None
    for n in range(200):
        rate.add(n / 4)
    assert rate.per_s(49.75) == 4.0
    for n in range(400):
        rate.add(50 + n / 10)
    assert rate.per_s(89.9) == 10.0
    assert rate.per_s(94.9) is not None
    assert rate.per_s(101.0) is None
