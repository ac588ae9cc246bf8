"""The short form of `python -m tests.fuzz`, and every file that once came to no clean outcome."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from streamproc.source.sandbox import decoder_client
from tests.fuzz import mutation, seeds
from tests.fuzz.__main__ import CORPUS
from tests.fuzz.campaign import Campaign

KEPT = sorted(path for path in CORPUS.iterdir() if path.suffix != ".md")


@pytest.fixture(scope="module", autouse=True)
def _no_child_left() -> Iterator[None]:
    yield
    decoder_client.end_fork_server()


@pytest.fixture(scope="module")
def good() -> list[seeds.Seed]:
    return seeds.make()


def unclean(campaign: Campaign) -> list[tuple[str, str, str]]:
    """Return all findings: exceptions of our own code in a child, deaths, waits and leaks."""
    return [(f.kind, f.message, f.name) for f in campaign.findings]


def test_broken_videos_come_to_a_clean_outcome(good: list[seeds.Seed], tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    campaign.run(good, range(150), seed=1)
    assert not unclean(campaign)
    assert campaign.outcomes["frames"] > 30
    assert sum(campaign.outcomes.values()) == 150


def test_good_videos_are_decoded(good: list[seeds.Seed], tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    for seed in good:
        campaign.give(seed.name, seed.content, Random(1))
    assert not campaign.findings
    assert campaign.outcomes == {"frames": len(good)}
    assert len(good) > 25


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_a_kept_file_comes_to_a_clean_outcome(path: Path, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    for choice in range(6):
        campaign.give(path.name, path.read_bytes(), Random(choice))
    assert not unclean(campaign)


def test_the_same_number_breaks_a_file_in_the_same_way(good: list[seeds.Seed]) -> None:
    first, other = good[0].content, good[1].content
    assert mutation.broken(Random(5), first, other) == mutation.broken(Random(5), first, other)
    assert mutation.broken(Random(5), first, other) != mutation.broken(Random(6), first, other)
