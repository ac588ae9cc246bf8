"""What many trials came to: a line for each library, and what is not as `libraries.toml` says."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.clients.faults import Fault
from tests.clients.libraries import Library
from tests.clients.trial import Mode, Outcome

LETTERS = "LDXIO"
_OF_REFUSAL = re.compile("opened anew|asked again|50[23]")
Results = Mapping[tuple[Fault, Mode], Sequence[Outcome]]


def table(results: Mapping[str, Results]) -> str:
    """Return a row for each library: what differed in all trials of each fault and mode."""
    tried = {column for found in results.values() for column in found}
    columns = [(fault, mode) for fault in Fault for mode in Mode if (fault, mode) in tried]
    titles = [f"{fault.value} {mode.value}" for fault, mode in columns]
    lines = [f"{'library':<34}" + "".join(f"{title:>16}" for title in titles)]
    for name, found in results.items():
        cells = [_sum(found.get(column, ())) for column in columns]
        lines.append(f"{name:<34}" + "".join(f"{cell:>16}" for cell in cells))
    lines.append(
        "L lost, D repeated, X truncated, I another id, O out of order; the sum of all seeds"
    )
    return "\n".join(lines)


def unexpected(library: Library | None, results: Results, end: str | None) -> list[str]:
    """Return what trials show that `libraries.toml` does not say; an example has to be exact."""
    found = []
    letters: defaultdict[Fault, set[str]] = defaultdict(set)
    for (fault, mode), outcomes in results.items():
        for outcome in outcomes:
            if outcome.timed_out:
                found.append(f"{fault.value} {mode.value}: no end, {outcome}")
            found += [
                f"{fault.value} {mode.value}: {n}" for n in outcome.notes if "ended with" in n
            ]
            letters[fault] |= {
                letter for letter, count in zip(LETTERS, outcome.difference, strict=True) if count
            }
    for fault, seen in letters.items():
        wrong = seen - set(library.inexact.get(fault.value, "") if library is not None else "")
        if wrong:
            found.append(f"{fault.value}: {''.join(sorted(wrong))}")
    if library is None:
        return found
    found += _of(library.refused, "refused", _refused(results))
    found += _of(library.silence, "silence", _silence(results))
    found += _of(library.end, "end", end)
    return found


def _refused(results: Results) -> str | None:
    """Say who asked again where an answer was refused and nothing else was wrong."""
    outcomes = _all_of(results, Fault.REFUSAL)
    if not outcomes:
        return None
    notes = [note for outcome in outcomes for note in outcome.notes]
    return "caller" if any(_OF_REFUSAL.search(note) for note in notes) else "itself"


def _silence(results: Results) -> str | None:
    """Say whether any client asked anew in the silence of a stall."""
    outcomes = _all_of(results, Fault.STALL)
    if not outcomes:
        return None
    return "asks again" if any(len(outcome.exchanges) > 1 for outcome in outcomes) else "waits"


def _of(said: str, what: str, seen: str | None) -> list[str]:
    return [] if seen is None or seen == said else [f"{what}: {seen}, not {said}"]


def _all_of(results: Results, fault: Fault) -> list[Outcome]:
    return [outcome for mode in Mode for outcome in results.get((fault, mode), ())]


def _sum(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "-"
    if any(outcome.timed_out for outcome in outcomes):
        return "no end"
    sums = [sum(counts) for counts in zip(*(o.difference for o in outcomes), strict=True)]
    letters = zip(LETTERS, sums, strict=True)
    return " ".join(f"{letter}{count}" for letter, count in letters if count) or "exact"
