"""Opening, ready, slot: the bounds hold in every order of events, and projects share fairly."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamproc.worker.scheduler import PATIENCE_S, Place, Scheduler
from streamproc.worker.wait_queue import Line, LineClosedError, Ticket

SLOTS, OPENINGS, OF_A_PROJECT, SESSIONS = 2, 4, 3, 6
PROJECTS = {"a": 1.0, "b": 2.0, "c": 0.5}


class AnyOrder(RuleBasedStateMachine):
    """Tickets of three projects arrive, open, fail, work, are kept and leave in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: Scheduler[int] = Scheduler(SLOTS, OPENINGS, OF_A_PROJECT, SESSIONS)
        self.project: dict[int, str] = {}
        self.place: dict[int, str] = {}
        self.kept = {"a": 0, "b": 0, "c": 0}
        self.asked: set[int] = set()
        self.now_s = 0.0

    @rule(project=st.sampled_from("abc"), warm=st.booleans())
    def arrives(self, project: str, warm: bool) -> None:
        ticket = len(self.project)
        self.project[ticket] = project
        self.place[ticket] = "arrived" if warm else "cold"
        if warm:
            self.kept[project] += 1
            self.turns.wants_slot(ticket, project, PROJECTS[project])
        else:
            self.turns.wants_opening(ticket, project, PROJECTS[project])
        self.advance()

    @rule(project=st.sampled_from("abc"), n_kept=st.integers(0, SESSIONS), wait_s=st.floats(0, 15))
    def sessions_change(self, project: str, n_kept: int, wait_s: float) -> None:
        self.kept[project] = n_kept
        self.now_s += wait_s
        self.advance()

    @rule(data=st.data())
    def opens(self, data: st.DataObject) -> None:
        if opening := self.at("opening"):
            ticket = data.draw(st.sampled_from(opening))
            self.place[ticket] = "ready"
            self.turns.opened(ticket, self.project[ticket], PROJECTS[self.project[ticket]])
            self.advance()

    @rule(data=st.data())
    def opens_again(self, data: st.DataObject) -> None:
        if working := self.at("slot"):
            ticket = data.draw(st.sampled_from(working))
            self.place[ticket] = "cold"
            self.asked.discard(ticket)
            project = self.project[ticket]
            self.turns.wants_opening(ticket, project, PROJECTS[project])
            self.advance()

    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        if there := [ticket for ticket, place in self.place.items() if place != "left"]:
            ticket = data.draw(st.sampled_from(there))
            self.place[ticket] = "left"
            self.asked.discard(ticket)
            self.turns.leaves(ticket)
            self.advance()

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.at("slot")) == self.turns.n_working <= SLOTS
        assert len(self.at("opening", "ready")) == self.turns.n_opening <= OPENINGS
        for project in "abc":
            assert len(self.of(project, "opening", "ready")) <= OF_A_PROJECT

    @invariant()
    def no_place_stays_empty(self) -> None:
        if len(self.at("slot")) < SLOTS:
            assert not self.at("arrived", "ready")
        for project in PROJECTS:
            has_none = not self.kept[project] and not self.of(project, "opening", "ready", "slot")
            if has_none and len(self.at("opening", "ready")) < OPENINGS:
                assert not self.of(project, "cold")

    @invariant()
    def who_has_no_slot_is_given_one_by_who_has_several(self) -> None:
        starved = [
            project
            for project in PROJECTS
            if self.of(project, "arrived", "ready") and not self.of(project, "slot")
        ]
        rich = [project for project in PROJECTS if len(self.of(project, "slot")) > 1]
        assert bool(self.asked) >= bool(starved and rich)

    def at(self, *places: str) -> list[int]:
        return [ticket for ticket, place in self.place.items() if place in places]

    def of(self, project: str, *places: str) -> list[int]:
        return [ticket for ticket in self.at(*places) if self.project[ticket] == project]

    def advance(self) -> None:
        for ticket, place in self.turns.grants(self.kept, self.now_s):
            project = self.project[ticket]
            if place is Place.SLOT:
                waiting = {self.project[other] for other in self.at("arrived", "ready")}
                assert self.load(project) == min(self.load(name) for name in waiting)
                # The ready of a project go first.
                assert self.place[ticket] == ("ready" if self.of(project, "ready") else "arrived")
                if self.place[ticket] == "arrived":
                    self.kept[project] = max(0, self.kept[project] - 1)
                self.place[ticket] = "slot"
            else:
                assert self.place[ticket] == "cold"
                self.place[ticket] = "opening"
        for ticket in self.turns.yields():
            assert self.place[ticket] == "slot"
            assert ticket not in self.asked
            self.asked.add(ticket)
            # Nobody is asked who would then have no slot himself.
            assert set(self.of(self.project[ticket], "slot")) - self.asked

    def load(self, project: str) -> float:
        return len(self.of(project, "slot")) / PROJECTS[project]


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def grants(turns: Scheduler[str], now_s: float = 0.0, **kept: int) -> list[tuple[str, Place]]:
    return [(ticket, place) for ticket, place in turns.grants(kept, now_s)]


@given(st.integers(0, 200), st.integers(1, 5))
def test_however_many_origins_are_slow_a_warm_task_and_another_project_get_a_place_at_once(
    n_slow: int, n_others: int
) -> None:
    turns: Scheduler[str] = Scheduler(4, 32, 8, 64)
    for i in range(n_slow):
        turns.wants_opening(f"slow{i}", "p")
    assert len(grants(turns)) == min(n_slow, 8)
    turns.wants_slot("warm", "p")
    assert grants(turns) == [("warm", Place.SLOT)]
    for i in range(n_others):
        turns.wants_opening(f"other{i}", "q")
    assert {ticket for ticket, _ in grants(turns)} == {f"other{i}" for i in range(n_others)}


def test_projects_take_turns_in_opening() -> None:
    turns: Scheduler[str] = Scheduler(1, 1, 1, 4)
    for i in range(3):
        turns.wants_opening(f"a{i}", "a")
    for i in range(2):
        turns.wants_opening(f"b{i}", "b")
    order = []
    while granted := grants(turns):
        ((ticket, _),) = granted
        order.append(ticket)
        turns.leaves(ticket)
    assert order == ["a0", "b0", "a1", "b1", "a2"]


def test_who_waits_for_a_slot_again_keeps_none_from_himself() -> None:
    turns: Scheduler[str] = Scheduler(1, 1, 1, 4)
    for ticket in ("a", "b"):
        turns.wants_slot(ticket, "p")
    assert grants(turns) == [("a", Place.SLOT)]
    turns.wants_slot("a", "p")
    assert grants(turns) == [("b", Place.SLOT)]
    turns.leaves("b")
    assert grants(turns) == [("a", Place.SLOT)]
    assert turns.n_working == 1


def slots_had(weights: dict[str, float], n_slots: int, rounds: int) -> dict[str, int]:
    """Let projects with two tasks for each slot work, slices of one length; count their slots."""
    turns: Scheduler[tuple[str, int]] = Scheduler(n_slots, 8, 8, 99)
    had = dict.fromkeys(weights, 0)
    for name, weight in weights.items():
        for i in range(2 * n_slots):
            turns.wants_slot((name, i), name, weight)
    working: list[tuple[str, int]] = []
    for _ in range(rounds):
        working += [ticket for ticket, _ in turns.grants({}, 0.0)]
        turns.yields()
        name, number = working.pop(0)
        had[name] += 1
        turns.wants_slot((name, number), name, weights[name])
    return had


@pytest.mark.parametrize("n_slots", [1, 4])
def test_projects_share_the_slots_by_their_weights(n_slots: int) -> None:
    had = slots_had({"a": 1.0, "b": 1.0, "c": 2.0}, n_slots, 400)
    assert had["a"] == pytest.approx(100, abs=8)
    assert had["b"] == pytest.approx(100, abs=8)
    assert had["c"] == pytest.approx(200, abs=8)


def test_a_newcomer_does_not_wait_for_a_slices_end() -> None:
    turns: Scheduler[str] = Scheduler(4, 8, 8, 99)
    for i in range(60):
        turns.wants_slot(f"a{i}", "a")
    assert len(grants(turns)) == 4
    assert turns.yields() == []
    turns.wants_slot("b0", "b")
    turns.wants_slot("b1", "b")
    assert grants(turns) == []
    assert turns.yields() == ["a0"]
    assert turns.yields() == []  # it is on its way
    turns.wants_slot("a0", "a")
    assert grants(turns) == [("b0", Place.SLOT)]
    assert turns.yields() == []  # who has one waits for the next slice's end


def test_more_tasks_than_sessions_do_not_throw_each_other_out() -> None:
    turns: Scheduler[str] = Scheduler(2, 8, 8, 4)
    for i in range(20):
        turns.wants_opening(f"a{i}", "a")
    assert [ticket for ticket, _ in grants(turns)] == ["a0", "a1", "a2", "a3"]
    # Another project has its share of them, and the next of the first waits.
    turns.wants_opening("b0", "b")
    assert [ticket for ticket, _ in grants(turns)] == ["b0"]
    for ticket in ("a0", "a1", "a2", "a3"):
        turns.leaves(ticket)
    assert grants(turns, a=4) == []
    # With time one more is let in, and one more than that.
    assert [ticket for ticket, _ in grants(turns, PATIENCE_S, a=4)] == ["a4"]
    assert grants(turns, 1.5 * PATIENCE_S, a=4) == []
    assert [ticket for ticket, _ in grants(turns, 2 * PATIENCE_S, a=4)] == ["a5"]
    # A task that ends makes room at once.
    turns.leaves("a4")
    turns.leaves("a5")
    turns.leaves("b0")
    assert [ticket for ticket, _ in grants(turns, 2 * PATIENCE_S, a=3)] == ["a6"]


async def test_a_line_that_closes_sends_away_who_waits_and_lets_through_who_has_begun() -> None:
    line = Line(Scheduler(1, 1, 1, 4))
    begun, waiting, cancelled = (Ticket(name, "p") for name in ("begun", "waiting", "cancelled"))
    await line.opening(begun)
    rest = [asyncio.create_task(line.opening(ticket)) for ticket in (waiting, cancelled)]
    await asyncio.sleep(0)
    line.excuse(lambda task: task == "cancelled")
    await rest[1]
    line.close()
    with pytest.raises(LineClosedError):
        await rest[0]
    await line.slot_after_opening(begun)
    assert line.n_working == 1
    line.leave(begun)
    with pytest.raises(LineClosedError):
        await line.slot(Ticket("late", "p"))
    assert line.n_working == 0
