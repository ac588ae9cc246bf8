"""Breaks things on purpose, from a seed: kills, freezes, asks to leave, cuts, slows, takes away."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.fleet import Fleet, Member
from tests.chaos.proxy import FaultProxy
from tests.s3_faults import FAULTS


class Gremlin(threading.Thread):
    """One fault after another until `stop`.

    `done` counts them by kind; `worker_kills` holds (Unix milliseconds, name) of each.
    """

    def __init__(self, fleet: Fleet, seed: int, *, pause_s: float, kills_kafka: bool) -> None:
        super().__init__(daemon=True)
        self._fleet, self._random, self._pause_s = fleet, random.Random(seed), pause_s
        self._halt = threading.Event()
        self.done: Counter[str] = Counter()
        self.worker_kills: list[tuple[int, str]] = []
        self._faults = ["kill"] * 8 + ["freeze"] * 3 + ["terminate"] * 2
        self._faults += ["cut s3", "slow s3", "s3 away", "s3 fails"]
        self._faults += ["cut kafka", "slow kafka", "kafka away"]
        if kills_kafka:
            self._faults.append("kill kafka")

    def run(self) -> None:
        while not self._halt.wait(self._pause_s * self._random.uniform(0.5, 1.5)):
            fault = self._random.choice(self._faults)
            getattr(self, "_" + fault.replace(" ", "_"))()
            self.done[fault] += 1

    def stop(self) -> None:
        """End, and put everything right that does not right itself."""
        self._halt.set()
        self.join()
        for proxy in (self._fleet.s3_proxy, self._fleet.kafka.proxy):
            proxy.refuse(False)
            proxy.slow(0)
        self._fleet.s3_faults.heal()
        for member in self._fleet.members.values():
            if member.frozen:
                member.send(signal.SIGCONT)

    def _kill(self) -> None:
        member = self._victim()
        if member.name.startswith("worker"):
            self.worker_kills.append((time.time_ns() // 1_000_000, member.name))
        member.send(signal.SIGKILL)

    def _freeze(self) -> None:
        """Stop a process for longer than Kafka's patience, so that it wakes up as a zombie."""
        member = self._victim()
        member.send(signal.SIGSTOP)
        timer = threading.Timer(self._random.uniform(1, 8), member.send, [signal.SIGCONT])
        timer.daemon = True
        timer.start()

    def _terminate(self) -> None:
        self._victim().send(signal.SIGTERM)

    def _cut_s3(self) -> None:
        self._fleet.s3_proxy.cut()

    def _slow_s3(self) -> None:
        self._slow(self._fleet.s3_proxy)

    def _s3_away(self) -> None:
        self._away(self._fleet.s3_proxy)

    def _s3_fails(self) -> None:
        faults = self._fleet.s3_faults
        faults.fail(self._random.choice(FAULTS), self._random.choice((0.5, 1.0)))
        self._later(self._random.uniform(1, 5), faults.heal)

    def _cut_kafka(self) -> None:
        self._fleet.kafka.proxy.cut()

    def _slow_kafka(self) -> None:
        self._slow(self._fleet.kafka.proxy)

    def _kafka_away(self) -> None:
        self._away(self._fleet.kafka.proxy)

    def _kill_kafka(self) -> None:
        self._fleet.kafka.kill()

    def _slow(self, proxy: FaultProxy) -> None:
        proxy.slow(0.05)
        self._later(self._random.uniform(1, 4), lambda: proxy.slow(0))

    def _away(self, proxy: FaultProxy) -> None:
        proxy.refuse(True)
        self._later(self._random.uniform(1, 5), lambda: proxy.refuse(False))

    def _victim(self) -> Member:
        return self._random.choice(list(self._fleet.members.values()))

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(after_s, call)
        timer.daemon = True
        timer.start()
