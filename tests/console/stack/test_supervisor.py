from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from console.stack.supervisor import (
    MAX_BACKOFF_S,
    START_ATTEMPTS,
    STEADY_S,
    GiveUp,
    Kill,
    Phase,
    Restart,
    Rules,
    Spawn,
    Supervisor,
    Terminate,
)

SPECS = (
    Rules("kafka"),
    Rules("s3"),
    Rules("topics", after=("kafka",), one_shot=True),
    Rules("api", after=("topics", "s3"), stop_rank=2),
    Rules("archive", after=("topics", "s3"), stop_rank=3),
    Rules("worker", after=("topics", "s3"), stop_rank=4),
)


def brought_up(*rules: Rules) -> Supervisor:
    supervisor = Supervisor(rules)
    supervisor.advance(0.0)
    for one in rules:
        supervisor.ready(one.name, 0.0)
    return supervisor


def test_a_child_waits_for_those_it_comes_after() -> None:
    supervisor = Supervisor(SPECS)
    assert supervisor.advance(0.0) == [Spawn("kafka"), Spawn("s3")]
    assert supervisor.advance(0.1) == []
    supervisor.ready("kafka", 1.0)
    assert supervisor.advance(1.0) == [Spawn("topics")]
    assert supervisor.exited("topics", 0, 2.0) is None
    assert supervisor.advance(2.0) == []
    supervisor.ready("s3", 3.0)
    assert supervisor.advance(3.0) == [Spawn("api"), Spawn("archive"), Spawn("worker")]
    assert not supervisor.all_ready
    for name in ("api", "archive", "worker"):
        supervisor.ready(name, 4.0)
    assert supervisor.all_ready


def test_a_dead_child_is_restarted_after_a_doubling_pause() -> None:
    supervisor = brought_up(Rules("api"))
    now_s = 0.0
    for expected_s in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        assert supervisor.exited("api", -9, now_s) == Restart(expected_s)
        assert supervisor.advance(now_s + expected_s - 0.01) == []
        now_s += expected_s
        assert supervisor.advance(now_s) == [Spawn("api")]
        supervisor.ready("api", now_s)


def test_failures_are_forgotten_once_a_child_was_steady() -> None:
    supervisor = brought_up(Rules("api"))
    supervisor.exited("api", 1, 0.0)
    supervisor.advance(0.5)
    assert supervisor.exited("api", 1, 0.6) == Restart(1.0)
    supervisor.advance(2.0)
    supervisor.ready("api", 2.0)
    supervisor.advance(2.0 + STEADY_S)
    assert supervisor.exited("api", 1, 3.0 + STEADY_S) == Restart(0.5)


def test_a_child_that_never_was_ready_is_given_up() -> None:
    supervisor = Supervisor([Rules("worker"), Rules("api")])
    supervisor.advance(0.0)
    supervisor.ready("api", 0.0)
    now_s = 0.0
    for _ in range(START_ATTEMPTS - 1):
        aftermath = supervisor.exited("worker", 1, now_s)
        assert isinstance(aftermath, Restart)
        now_s += aftermath.delay_s
        assert supervisor.advance(now_s) == [Spawn("worker")]
    assert supervisor.exited("worker", 1, now_s) == GiveUp("worker", 1)
    assert supervisor.failure == GiveUp("worker", 1)
    assert supervisor.advance(now_s) == [Terminate("api")]


def test_what_may_pass_is_tried_for_ever_and_what_does_not_is_counted_alone() -> None:
    supervisor = Supervisor([Rules("bucket", one_shot=True, patient_codes=frozenset({3}))])
    supervisor.advance(0.0)
    now_s = 0.0
    codes = [3] * 20 + [4, 3] * (START_ATTEMPTS - 1)
    for code in codes:
        aftermath = supervisor.exited("bucket", code, now_s)
        assert isinstance(aftermath, Restart)
        now_s += aftermath.delay_s
        assert supervisor.advance(now_s) == [Spawn("bucket")]
    assert supervisor.exited("bucket", 4, now_s) == GiveUp("bucket", 4)


def test_a_fatal_code_is_not_tried_again() -> None:
    supervisor = Supervisor([Rules("kafka", fatal_codes=frozenset({3}))])
    supervisor.advance(0.0)
    assert supervisor.exited("kafka", 3, 0.0) == GiveUp("kafka", 3)
    assert supervisor.all_stopped


def test_the_stack_ends_with_an_essential_child_even_after_it_was_ready() -> None:
    supervisor = brought_up(Rules("kafka", essential=True))
    assert supervisor.exited("kafka", -9, 500.0) == GiveUp("kafka", -9)


def test_a_start_that_takes_too_long_is_killed_once_and_tried_again() -> None:
    supervisor = Supervisor([Rules("api", start_deadline_s=10.0)])
    supervisor.advance(0.0)
    assert supervisor.advance(9.9) == []
    assert supervisor.advance(10.0) == [Kill("api")]
    assert supervisor.advance(10.1) == []
    assert supervisor.exited("api", -9, 10.2) == Restart(0.5)


def test_the_highest_rank_is_stopped_first_and_killed_when_it_lingers() -> None:
    supervisor = brought_up(Rules("kafka"), Rules("worker", stop_rank=4, stop_deadline_s=5.0))
    supervisor.stop()
    assert supervisor.advance(1.0) == [Terminate("worker")]
    assert supervisor.advance(5.9) == []
    assert supervisor.advance(6.0) == [Kill("worker")]
    assert supervisor.advance(6.1) == []
    supervisor.exited("worker", -9, 6.2)
    assert supervisor.advance(6.2) == [Terminate("kafka")]
    supervisor.exited("kafka", 143, 6.3)
    assert supervisor.all_stopped
    assert supervisor.failure is None


def test_hurry_kills_all_that_live() -> None:
    supervisor = brought_up(Rules("kafka"), Rules("worker", stop_rank=4))
    assert supervisor.hurry() == [Kill("kafka"), Kill("worker")]


class SupervisorMachine(RuleBasedStateMachine):
    """Any order of readiness, deaths, time and stop keeps the promises."""

    def __init__(self) -> None:
        super().__init__()
        self.supervisor = Supervisor(SPECS)
        self.now_s = 0.0
        self.alive: set[str] = set()
        self.ever_ready: set[str] = set()
        self.rules_of = {rules.name: rules for rules in SPECS}

    @rule(step_s=st.floats(0, 40))
    def time_passes(self, step_s: float) -> None:
        self.now_s += step_s
        for action in self.supervisor.advance(self.now_s):
            match action:
                case Spawn(name):
                    assert name not in self.alive
                    assert not self.supervisor.stopping
                    assert set(self.rules_of[name].after) <= self.ever_ready
                    self.alive.add(name)
                case Terminate(name):
                    assert self.supervisor.stopping
                    rank = self.rules_of[name].stop_rank
                    assert all(self.rules_of[other].stop_rank <= rank for other in self.alive)
                case Kill(name):
                    assert name in self.alive

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def one_becomes_ready(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        if not self.rules_of[name].one_shot:
            self.supervisor.ready(name, self.now_s)
            self.ever_ready.add(name)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), code=st.sampled_from((0, 1, -9)))
    def one_ends(self, data: st.DataObject, code: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.alive)))
        self.alive.discard(name)
        aftermath = self.supervisor.exited(name, code, self.now_s)
        if self.rules_of[name].one_shot and code == 0:
            self.ever_ready.add(name)
        if isinstance(aftermath, Restart):
            assert 0 < aftermath.delay_s <= MAX_BACKOFF_S

    @rule()
    def stop(self) -> None:
        self.supervisor.stop()

    @invariant()
    def what_lives_is_known_to_live(self) -> None:
        phases = {Phase.STARTING, Phase.READY, Phase.STOPPING}
        living = {name for name in self.rules_of if self.supervisor.phase(name) in phases}
        assert living == self.alive

    def teardown(self) -> None:
        self.supervisor.stop()
        for _ in range(20):
            self.time_passes(60.0)
            for name in sorted(self.alive):
                if self.supervisor.phase(name) is Phase.STOPPING:
                    self.alive.discard(name)
                    self.supervisor.exited(name, -15, self.now_s)
        assert self.supervisor.all_stopped
        assert not self.alive


SupervisorMachine.TestCase.settings = settings(max_examples=100, deadline=None)
TestSupervisorMachine = SupervisorMachine.TestCase
