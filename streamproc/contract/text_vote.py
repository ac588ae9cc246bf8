"""Vote on a track's text: a pure fold over its readings, in frame order.

A sign is read in many frames, often cut off at the frame's edge, and a part is read as surely as
the whole. Each reading therefore adds confidence x letters to its spelling; spellings that differ
in case and blanks only are one. The heaviest spelling is the track's text.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

MAX_SPELLINGS = 32
"""Spellings that a track keeps; for a new one, the lightest of the others is dropped."""
MAX_CHARS = 512
"""Longer readings are cut for the vote."""


class Spelling(NamedTuple):
    """One candidate: `text` as it was read best, with that confidence, and its votes so far."""

    text: str
    weight: float
    confidence: float


class Vote(NamedTuple):
    """The winner: `support` is its share of all votes, from 0 to 1."""

    text: str
    confidence: float
    support: float


def add_reading(
    spellings: Sequence[Spelling], text: str, confidence: float
) -> tuple[Spelling, ...]:
    """Return the candidates, in the order of their first sighting, after one more reading."""
    text = text[:MAX_CHARS]
    key = _key(text)
    if not key:
        return tuple(spellings)
    confidence = min(max(confidence, 0.0), 1.0)
    weight = confidence * len(key)
    for at, known in enumerate(spellings):
        if _key(known.text) == key:
            best = (text, confidence) if confidence > known.confidence else known[::2]
            ours = Spelling(best[0], known.weight + weight, best[1])
            return (*spellings[:at], ours, *spellings[at + 1 :])
    kept = list(spellings)
    while len(kept) >= MAX_SPELLINGS:
        kept.remove(min(kept, key=lambda spelling: spelling.weight))
    return (*kept, Spelling(text, weight, confidence))


def count(spellings: Sequence[Spelling]) -> Vote | None:
    """Return the heaviest spelling, the one seen first if equal; None if there is none."""
    if not spellings:
        return None
    winner = max(spellings, key=lambda spelling: spelling.weight)
    total = sum(spelling.weight for spelling in spellings)
    support = winner.weight / total if total > 0 else 1.0
    return Vote(winner.text, winner.confidence, support)


def same_spelling(text: str | None, other: str | None) -> bool:
    """Whether two texts, or none, differ in case and blanks alone."""
    return _key(text or "") == _key(other or "")


@lru_cache(maxsize=4096)
def _key(text: str) -> str:
    return "".join(text.split()).casefold()
