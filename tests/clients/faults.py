"""What happens to the answers of one client, by a seed: cuts, refusals, stalls, tiny pieces.

No IO here: a `Plan` is asked at every request what to do with its answer, and the proxy does it.
The same fault, seed and length of a log give the same plan, whoever reads.
"""

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

N_CUTS = 6
LONG_STALL_S = 6.0
"""Longer than the read timeouts that some libraries have without being told: 5 s."""


class Fault(enum.Enum):
    """A way in which connections are bad; the value is its name in reports."""

    NONE = "none"
    CUT = "cut"
    REFUSAL = "5xx"
    STALL = "stall"
    PIECES = "pieces"
    EDGE = "edge"
    """Cuts at the two places inside of an event where a line has just ended."""


FAULTS = (Fault.CUT, Fault.REFUSAL, Fault.STALL, Fault.PIECES)


class Ending(enum.Enum):
    """How a connection is cut: without a last chunk, by a reset, or as if the body were whole."""

    FIN = "fin"
    RST = "rst"
    CLEAN = "clean"


@dataclass(frozen=True)
class Cut:
    """End the answer behind `after` bytes of its body, or at `edge`, counted from there on.

    `edge` 1 is behind the next event's first line, 2 behind its second one.
    """

    ending: Ending
    after: int
    edge: int = 0


@dataclass(frozen=True)
class Treatment:
    """What is done with one answer.

    `status`: refuse with it and ask nobody. `rechunk`: send the body in chunks whatever it came
    in. `sizes`: of the pieces; each piece is a chunk and a packet.
    """

    status: int = 0
    cut: Cut | None = None
    rechunk: bool = False
    sizes: Iterator[int] | None = field(default=None, compare=False)


@dataclass
class Plan:
    """What happens to the answers of one client: to the first ones in turn, and to the rest.

    `stalls` maps a count of body bytes, over all answers, to the seconds of silence behind them.
    """

    treatments: list[Treatment] = field(default_factory=list)
    rest: Treatment = field(default_factory=Treatment)
    stalls: dict[int, float] = field(default_factory=dict)

    def treatment(self, number: int) -> Treatment:
        """Return what is done with the answer to this request; the first one is 0."""
        return self.treatments[number] if number < len(self.treatments) else self.rest


def plan_of(fault: Fault, seed: int, length: int) -> Plan:
    """Return the plan of a client that reads a log of `length` bytes."""
    chance = random.Random(f"{fault.value}/{seed}")
    endings = tuple(Ending)
    if fault is Fault.CUT:
        ending = endings[(seed - 1) // 2 % 3]
        return Plan([_cut(chance, ending, length) for _ in range(N_CUTS)])
    if fault is Fault.EDGE:
        kinds = [(endings[(seed + n) % 3], 1 + n % 2) for n in range(N_CUTS)]
        return Plan([_cut(chance, ending, length, edge) for ending, edge in kinds])
    if fault is Fault.REFUSAL:
        return Plan(_refusals(chance, length, first=seed % 2 == 0))
    if fault is Fault.STALL:
        places = chance.sample(range(1, length), 4)
        seconds = [LONG_STALL_S, *(chance.uniform(0.2, 1.0) for _ in range(3))]
        return Plan(stalls=dict(zip(places, seconds, strict=True)))
    if fault is Fault.PIECES:
        return Plan(rest=Treatment(rechunk=True, sizes=sizes(chance)))
    return Plan()


def sizes(chance: random.Random) -> Iterator[int]:
    """Yield sizes of pieces, 1 to 7 bytes, for ever."""
    while True:
        yield chance.randint(1, 7)


def _cut(chance: random.Random, ending: Ending, length: int, edge: int = 0) -> Treatment:
    """Cut so early that all cuts, one after another, fall into the log."""
    after = chance.randrange(1, max(2, 2 * length // (N_CUTS + 2)))
    return Treatment(cut=Cut(ending, after, edge), rechunk=ending is Ending.CLEAN)


def _refusals(chance: random.Random, length: int, *, first: bool) -> list[Treatment]:
    """Cut, refuse once or twice, three times over; the very first request too, if so wanted."""
    found = [_refusal(chance)] if first else []
    for _ in range(3):
        found.append(_cut(chance, Ending.FIN, length))
        found += [_refusal(chance) for _ in range(chance.randint(1, 2))]
    return found


def _refusal(chance: random.Random) -> Treatment:
    return Treatment(status=chance.choice((502, 503)))
