"""The figures of `tests.live.faults`: what meets what is asked, and what does not."""

from argparse import Namespace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.live.faults import __main__ as program
from tests.live.faults.figures import Figure, at_least, at_most, between, equal, percentile
from tests.live.faults.outages import overlap
from tests.live.faults.rig import Rig


@pytest.mark.parametrize(
    ("figure", "holds"),
    [
        (at_most("lag", 2.0, 2.0), True),
        (at_most("lag", 2.01, 2.0), False),
        (at_least("rate", 1.95, 1.95), True),
        (at_least("rate", 1.94, 1.95), False),
        (between("gap", 19.9, 20.0, 24.0), False),
        (between("gap", 24.0, 20.0, 24.0), True),
        (equal("ids", {1}, {1}), True),
        (equal("ids", {1}, {2}), False),
    ],
)
def test_a_figure_says_whether_it_holds(figure: Figure, *, holds: bool) -> None:
    assert figure.holds is holds
    assert str(figure).endswith("ok" if holds else "MISSED")


def test_no_values_meet_no_limit() -> None:
    assert not at_most("lag", percentile([], 95), 1e9).holds
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0


def test_boxes_overlap_by_what_they_share() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0.0


def test_what_could_not_be_measured_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Rig, __: Namespace) -> list[Figure]:
        """Nothing comes."""
        raise AssertionError("too few frames")

    monkeypatch.setitem(program.FAULTS, "kill", program.Fault(fails))
    stack: Any = SimpleNamespace()
    assert program.run("kill", cast("Rig", stack), Namespace()) == 1
    shown = capsys.readouterr().out
    assert "Nothing comes." in shown
    assert "too few frames" in shown
    assert "MISSED" in shown


def test_each_fault_says_what_it_does() -> None:
    assert all((fault.run.__doc__ or "").strip() for fault in program.FAULTS.values())
