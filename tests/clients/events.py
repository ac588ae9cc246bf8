"""Events as clients deliver them, and what a client's differ in from those of the log."""

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

DONE = "[DONE]"


class Event(NamedTuple):
    """`id` is empty where a library does not tell it."""

    id: str
    data: str


class Difference(NamedTuple):
    """How many events were lost, repeated, truncated, told with another id or out of order."""

    lost: int = 0
    repeated: int = 0
    truncated: int = 0
    misnamed: int = 0
    disordered: int = 0

    def __str__(self) -> str:
        letters = zip("LDXIO", self, strict=True)
        return " ".join(f"{letter}{count}" for letter, count in letters if count) or "exact"


def parse(log: bytes) -> list[Event]:
    """Return the whole events of log bytes, whichever of their lines comes first."""
    found = []
    for block in log.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line[0] != ":")
        if "data" in fields:
            found.append(Event(fields["id"], fields["data"]))
    return found


def compare(truth: Sequence[Event], delivered: Sequence[Event]) -> Difference:
    """Say what a client delivered otherwise.

    Events are known by their data. Raises ValueError when two of the log have the same.
    """
    ids = {_canonical(event.data): event.id for event in truth}
    if len(ids) != len(truth):
        raise ValueError("two events of the log have the same data")
    told = [Event(event.id, _canonical(event.data)) for event in delivered]
    known = [event for event in told if event.data in ids]
    counts = Counter(event.data for event in known)
    in_order = [data for data in ids if data in counts]
    return Difference(
        lost=len(ids) - len(counts),
        repeated=counts.total() - len(counts),
        truncated=len(told) - len(known),
        misnamed=sum(event.id not in {"", ids[event.data]} for event in known),
        disordered=sum(a != b for a, b in zip(counts, in_order, strict=True)),
    )


def _number(number: Decimal) -> str:
    return str(number.normalize())


def _canonical(data: str) -> str:
    """Return data in one form: some libraries parse it, and what they print has other numbers."""
    try:
        return json.dumps(json.loads(data, parse_float=Decimal, parse_int=Decimal), default=_number)
    except ValueError:
        return data
