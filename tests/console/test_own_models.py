"""A user's image tower and its words in a running stack: added, used, asked, and removed."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.cli.main import run
from console.cli.paths import CLIP
from console.exit_codes import ExitCode
from console.stack.running import running_stack
from tests.console.test_stack import told
from tests.models.text_networks import (
    END,
    START,
    VOCABULARY,
    expected_vector,
    write_image_network,
    write_text_network,
    write_tokenizer,
)

Ask = Callable[..., tuple[int, bytes]]
STEPS = json.dumps([{"model": "detect"}, {"model": "clip"}])


@pytest.fixture(scope="module")
def data(engines: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("stack") / "data"
    arguments = [f"--data={data}", "--kafka=memory", f"--file-root={CLIP.parent}"]
    with running_stack(arguments, os.environ, stderr=data.parent / "up.log"):
        yield data


@pytest.fixture
def ask(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Ask:
    """Run a command and return its exit code and what it wrote, to stdout and to stderr."""
    for name in ("FRAMEWIRE_URL", "FRAMEWIRE_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FRAMEWIRE_DATA", str(data))

    def ask(*arguments: str) -> tuple[int, bytes]:
        capfdbinary.readouterr()
        code = run(list(arguments))
        out, err = capfdbinary.readouterr()
        return code, out + err

    return ask


def listed(text: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    return found


def test_words_find_what_a_running_stack_has_seen(ask: Ask, tmp_path: Path) -> None:
    """No process is started again: worker and api find the models while they run."""
    image = write_image_network(tmp_path / "image.xml")
    text = write_text_network(tmp_path / "text.xml")
    write_tokenizer(tmp_path / "tokenizer.json")
    assert ask("models", "add", str(image), "--kind", "feature", "--name", "clip")[0] == 0
    words = ["--kind", "text-encoder", "--for", "clip", "--name", "clip-words"]
    assert ask("models", "add", str(text), *words)[0] == 0
    assert b"text-encoder" in ask("models", "list")[1]

    code, said = ask("run", str(CLIP), "--steps", STEPS, "--end", "4", "--json")
    assert code == 0, said
    wait = "select count() from v_embeddings"
    told(ask, lambda text: b"[[0]]" not in text, "sql", wait, "--json")
    query = "select task_id, track_id, vector from v_embeddings"
    rows = json.loads(ask("sql", query, "--json")[1])["rows"]
    assert rows
    vectors = {(task, track): np.array(vector, np.float64) for task, track, vector in rows}

    for word in ("red", "blue"):
        wanted = expected_vector([START, VOCABULARY[word], END]).astype(np.float64)
        expected = {key: 1 - float(vector @ wanted) for key, vector in vectors.items()}
        code, said = ask("tracks", "--like-text", word, "--limit", "200", "--json")
        assert code == 0, said
        found = {(t["task"], t["track_id"]): t["distance"] for t in json.loads(said)}
        assert found == pytest.approx(expected, abs=1e-5)
        assert list(found.values()) == sorted(found.values())
    assert ask("tracks", "--like-text", "zebra")[0] == ExitCode.USAGE

    # The image tower goes after its words; what it has seen stays, and is not found by words.
    code, said = ask("models", "remove", "clip")
    assert (code, b"clip-words@1 is its text encoder" in said) == (1, True)
    assert ask("models", "remove", "clip-words")[0] == 0
    code, said = ask("tracks", "--like-text", "red")
    assert (code, b"no text encoder is added" in said) == (ExitCode.USAGE, True)
    assert ask("models", "remove", "clip@1")[0] == 0
    code, said = ask("run", str(CLIP), "--steps", STEPS)
    assert (code, b"no such model" in said) == (ExitCode.USAGE, True)
    assert len(listed(ask("models", "list", "--json")[1])) == 5
