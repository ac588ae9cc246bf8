"""Breaks things on purpose, from a seed: kills, freezes, asks to leave, cuts, slows, takes away."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.fleet import Fleet, Member


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
        self._faults = ["kill"] * 8 + ["freeze"] * 3 + ["terminate"] * 2 + ["cut", "slow", "away"]
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
        self._fleet.s3_proxy.refuse(False)
        self._fleet.s3_proxy.slow(0)
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

    def _cut(self) -> None:
        self._fleet.s3_proxy.cut()

    def _slow(self) -> None:
        self._fleet.s3_proxy.slow(0.05)
        self._later(self._random.uniform(1, 4), lambda: self._fleet.s3_proxy.slow(0))

    def _away(self) -> None:
        self._fleet.s3_proxy.refuse(True)
        self._later(self._random.uniform(1, 5), lambda: self._fleet.s3_proxy.refuse(False))

    def _kill_kafka(self) -> None:
        self._fleet.kafka.kill()

    def _victim(self) -> Member:
        return self._random.choice(list(self._fleet.members.values()))

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(after_s, call)
        timer.daemon = True
        timer.start()
