"""What the demo prints: lines that fit, paths that a shell reads."""

from pathlib import Path

import pytest

from console.cli.chunk_lines import chunk_line
from console.cli.paths import CLIP, shown_path
from streamproc.contract.chunk import Chunk, decode_chunk
from tests.console.tui.recorded_api import Script


@pytest.fixture(scope="module")
def chunks() -> list[Chunk]:
    lines = [line for line in Script().log.split(b"\n") if line.startswith(b"data: {")]
    return [decode_chunk(line.removeprefix(b"data: ")) for line in lines]


@pytest.mark.parametrize("n_columns", [60, 80, 120])
def test_a_line_fits_the_terminal_and_counts_every_target(
    chunks: list[Chunk], n_columns: int
) -> None:
    most = max(len(chunk.delta.results[0].targets) for chunk in chunks if chunk.delta.results)
    assert most >= 3
    for chunk in chunks:
        targets = [target for result in chunk.delta.results for target in result.targets]
        line = chunk_line(chunk, n_columns)
        assert len(line) <= n_columns
        _, _, more = line.partition("  +")
        assert line.count("#") + int(more or 0) == len(targets)


def test_a_path_is_shown_for_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "my clip.mp4") == "'my clip.mp4'"
    assert shown_path(CLIP) == str(CLIP)
