"""A measured figure beside the one that is asked."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """`measured` and `asked` as text; `holds` whether the one meets the other."""

    name: str
    measured: str
    asked: str
    holds: bool

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "MISSED"
        return f"{self.name:<52} {self.measured:>22}   {self.asked:<22} {verdict}"


def at_most(name: str, value: float, limit: float, unit: str = "s") -> Figure:
    return Figure(name, f"{value:.4g} {unit}", f"<= {limit:.4g} {unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str = "") -> Figure:
    return Figure(name, f"{value:.4g} {unit}", f">= {limit:.4g} {unit}", value >= limit)


def between(name: str, value: float, low: float, high: float, unit: str = "s") -> Figure:
    asked = f"{low:.4g} to {high:.4g} {unit}"
    return Figure(name, f"{value:.4g} {unit}", asked, low <= value <= high)


def equal(name: str, value: object, asked: object) -> Figure:
    return Figure(name, str(value), str(asked), value == asked)


def holds(name: str, condition: object) -> Figure:
    return Figure(name, "yes" if condition else "no", "yes", bool(condition))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile; infinity if there are too few values for one."""
    if len(values) < 2:
        return float("inf")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
