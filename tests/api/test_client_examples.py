"""The examples of docs/clients.md print every chunk once, whatever happens to their connections."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.api.server import LiveApi, NewKey
from tests.brokers import KafkaNode
from tests.clients import examples
from tests.clients.faults import Cut, Ending, Plan, Treatment, sizes
from tests.clients.served import Api
from tests.clients.trial import Mode, Outcome, try_out
from tests.conformance.backend import Backend
from tests.plugins.missing import needs_program

N_CHUNKS = 40
LANGUAGES = [
    pytest.param(
        language,
        marks=needs_program(program, promise=f"the example of {language} in docs/clients.md")
        if (program := examples.PROGRAMS.get(language))
        else (),
    )
    for language in examples.LANGUAGES
]


def plan(ending: Ending) -> Plan:
    """A cut inside of an event, two refusals that pass, then pieces of a few bytes."""
    cut = Treatment(cut=Cut(ending, 5_000), rechunk=ending is Ending.CLEAN)
    rest = Treatment(rechunk=True, sizes=sizes(random.Random(1)))
    return Plan([cut, Treatment(status=503), Treatment(status=429)], rest)


async def run(language: str, api: Api, folder: Path) -> tuple[list[Outcome], Outcome]:
    """Run the example over logs with cuts of every kind, and with a key that is refused."""
    program = examples.build(language, folder)
    closed = await api.closed(N_CHUNKS)
    kinds = [(Ending.FIN, Mode.REPLAY), (Ending.CLEAN, Mode.REPLAY), (Ending.RST, Mode.LIVE)]
    refused = Plan(rest=Treatment(status=401))
    *outcomes, at_refusal = await asyncio.gather(
        *(try_out(program, api, plan(ending), mode, closed, live_s=1.5) for ending, mode in kinds),
        try_out(program, api, refused, Mode.REPLAY, closed),
    )
    return outcomes, at_refusal


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_example_prints_every_chunk_once_and_ends_at_a_refusal(
    language: str,
    live: LiveApi,
    kafka: KafkaNode,
    new_key: NewKey,
    processes: None,
    tmp_path: Path,
) -> None:
    project, key = await new_key()
    backend = Backend(live.url, key, project, kafka.bootstrap)
    try:
        outcomes, at_refusal = await run(language, Api(live.url, key, backend), tmp_path)
    finally:
        await backend.aclose()
    for outcome in outcomes:
        assert str(outcome) == "exact", outcome.notes
        assert [exchange.status for exchange in outcome.exchanges][:4] == [200, 503, 429, 200]
        assert outcome.exchanges[0].cut is not None
    assert [exchange.status for exchange in at_refusal.exchanges] == [401]
    assert at_refusal.difference.lost > N_CHUNKS
