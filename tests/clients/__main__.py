"""`python -m tests.clients`: follow logs with other people's libraries through a faulty proxy.

    --seeds N      so many seeds for each library, fault and mode (6), from --first on (1)
    --only NAME    this library, or the example of this language, alone; may be repeated
    --short        three libraries, one seed: what the CI runs, whose tests run the examples
    --edges        also cuts at the ends of an event's lines, which some libraries cannot know

Installs what the locks beside this file pin, starts a stack of its own, and compares what every
library delivers with what curl gets of the same log. Exit code 1: something is not as
`libraries.toml` says, or an example is not exact.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.stack import framewire_up
from tests.clients import examples, report
from tests.clients.faults import FAULTS, Fault, plan_of
from tests.clients.libraries import Library, install, libraries, missing_program
from tests.clients.served import Api
from tests.clients.trial import Mode, Outcome, Program, try_out, watch_end
from tests.conformance.backend import Backend

SHORT = ("eventsource", "fetch-event-source", "python-httpx-sse")
N_AT_ONCE = 12


class Run:
    """All trials of some programs; `results` and `ends` grow as they are made."""

    def __init__(self, api: Api, closed: str, length: int) -> None:
        self.results: dict[str, defaultdict[tuple[Fault, Mode], list[Outcome]]] = {}
        self.ends: dict[str, str] = {}
        self._api = api
        self._closed = closed
        self._length = length
        self._room = asyncio.Semaphore(N_AT_ONCE)

    async def all(
        self, programs: Mapping[str, Program], faults: Sequence[Fault], seeds: Sequence[int]
    ) -> None:
        async with asyncio.TaskGroup() as group:
            for name, program in programs.items():
                self.results[name] = defaultdict(list)
                if not program.is_example:
                    group.create_task(self._end(name, program))
            for seed in seeds:
                for fault in faults:
                    for mode in Mode:
                        for name, program in programs.items():
                            group.create_task(self._one(name, program, fault, seed, mode))

    async def _one(self, name: str, program: Program, fault: Fault, seed: int, mode: Mode) -> None:
        async with self._room:
            plan = plan_of(fault, seed, self._length)
            outcome = await try_out(program, self._api, plan, mode, self._closed)
        self.results[name][fault, mode].append(outcome)
        if str(outcome) != "exact":
            print(f"{name}, {fault.value} {mode.value}, seed {seed}: {outcome}", flush=True)

    async def _end(self, name: str, program: Program) -> None:
        async with self._room:
            self.ends[name] = (await watch_end(program, self._api, self._closed)).end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--edges", action="store_true")
    args = parser.parse_args()
    faults = (*FAULTS, Fault.EDGE) if args.edges else FAULTS
    seeds = range(args.first, args.first + (1 if args.short else args.seeds))
    chosen = chosen_libraries(SHORT if args.short else args.only)
    languages = [] if args.short else [n for n in examples.LANGUAGES if n in (args.only or n)]
    with tempfile.TemporaryDirectory(prefix="framewire-clients-") as name:
        programs = {library.name: library.program for library in chosen}
        programs |= built_examples(languages, Path(name))
        with framewire_up(Path(name) / "data", workers=0) as (_, told):
            begun_s = time.monotonic()
            run = asyncio.run(drive(told, programs, faults, seeds))
            seconds = time.monotonic() - begun_s
    return show(chosen, run, seconds)


def chosen_libraries(names: Sequence[str] | None) -> list[Library]:
    """Return the named libraries, or all, installed; say which cannot be."""
    found = [library for library in libraries() if not names or library.name in names]
    for library in list(found):
        program = missing_program(library)
        if program is not None:
            print(f"not tried: {library.name} ({program} is not installed)")
            found.remove(library)
    install({library.kind for library in found})
    return found


def built_examples(languages: Sequence[str], folder: Path) -> dict[str, Program]:
    found = {}
    for language in languages:
        program = examples.missing_program(language)
        if program is not None:
            print(f"not tried: the example of {language} ({program} is not installed)")
        else:
            found[f"example: {language}"] = examples.build(language, folder / language)
    return found


async def drive(
    told: dict[str, str],
    programs: Mapping[str, Program],
    faults: Sequence[Fault],
    seeds: Sequence[int],
) -> Run:
    backend = Backend(told["url"], told["key"], told["project"], told["kafka"])
    api = Api(told["url"], told["key"], backend)
    closed = await api.closed()
    run = Run(api, closed, len(await api.whole(closed)))
    await run.all(programs, faults, seeds)
    await backend.aclose()
    return run


def show(chosen: Sequence[Library], run: Run, seconds: float) -> int:
    """Print the table and what is unexpected; return the exit code."""
    print(report.table(run.results))
    said = {library.name: library for library in chosen}
    wrong = {
        name: report.unexpected(said.get(name), results, run.ends.get(name))
        for name, results in run.results.items()
    }
    for name, found in wrong.items():
        for what in found:
            print(f"{name}: {what}")
    outcomes = [o for found in run.results.values() for many in found.values() for o in many]
    n_cuts = sum(exchange.cut is not None for o in outcomes for exchange in o.exchanges)
    n_wrong = sum(bool(found) for found in wrong.values())
    print(
        f"{len(wrong)} clients, {len(outcomes)} trials, {n_cuts} cuts, {seconds:.0f} s; "
        f"{n_wrong} are not as they should be"
    )
    return 1 if n_wrong or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
