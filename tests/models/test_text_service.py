"""The process that makes text vectors for the api: one line in, one line out."""

import io
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.importer import add_model
from models.registry import Registry
from models.removal import remove_model
from models.text_orders import TextAnswer, TextOrder
from models.text_service import MAX_LOADED, TextService, serve
from tests.models.text_networks import (
    END,
    START,
    VOCABULARY,
    add_pictures,
    expected_vector,
    word_table,
    words,
    write_text_network,
    write_tokenizer,
)

RED, BLUE = VOCABULARY["red"], VOCABULARY["blue"]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "own")
    add_pictures(registry, tmp_path)
    network = write_text_network(tmp_path / "words.xml")
    add_model(registry, words(network, write_tokenizer(tmp_path / "tokenizer.json")))
    return registry


def ask(registry: Registry, *texts: str, encoder: str = "clip-words@1") -> list[TextAnswer]:
    return answers(TextService(registry), (TextOrder(encoder, text) for text in texts))


def answers(service: TextService, orders: Iterable[TextOrder]) -> list[TextAnswer]:
    lines, out = [msgspec.json.encode(order) for order in orders], io.BytesIO()
    serve(io.BytesIO(b"\n".join(lines) + b"\n"), out, service)
    return [msgspec.json.decode(line, type=TextAnswer) for line in out.getvalue().splitlines()]


def vector(answer: TextAnswer) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.frombuffer(answer.vector, "<f4")


def test_each_order_has_its_answer_in_order(registry: Registry) -> None:
    red, none, blue = ask(registry, "red", "zebra\nzebra", "blue")
    np.testing.assert_allclose(vector(red), expected_vector([START, RED, END]), atol=1e-6)
    np.testing.assert_allclose(vector(blue), expected_vector([START, BLUE, END]), atol=1e-6)
    assert (none.error, none.vector) == ("unusable", b"")
    assert "clip-words@1 knows no word of this text" in none.message


def test_an_encoder_that_cannot_be_used_fails_and_the_next_does_not(registry: Registry) -> None:
    service = TextService(registry)
    orders = [TextOrder("nothing@1", "red"), TextOrder("clip@1", "red")]
    assert [answer.error for answer in answers(service, orders)] == ["failed", "failed"]
    network = registry.resolve("clip-words").directory / "network.bin"
    content = network.read_bytes()
    network.write_bytes(content[:-4] + b"\0\0\0\0")
    (changed,) = answers(service, [TextOrder("clip-words@1", "red")])
    assert (changed.error, "was changed" in changed.message) == ("failed", True)
    network.write_bytes(content)
    (mended,) = answers(service, [TextOrder("clip-words@1", "red")])
    assert mended.error is None


def test_an_encoder_that_was_exchanged_is_loaded_anew(registry: Registry, tmp_path: Path) -> None:
    service, order = TextService(registry), TextOrder("clip-words@1", "red")
    (before,) = answers(service, [order])
    remove_model(Registry(tmp_path / "own"), "clip-words")
    assert [answer.error for answer in answers(service, [order])] == ["failed"]
    table = word_table()[:, ::-1].copy()
    network = write_text_network(tmp_path / "new.xml", table=table)
    add_model(Registry(tmp_path / "own"), words(network, tmp_path / "tokenizer.json"))
    (after,) = answers(service, [order])
    np.testing.assert_allclose(vector(after), vector(before)[::-1], atol=1e-6)


def test_few_encoders_stay_loaded(registry: Registry, tmp_path: Path) -> None:
    refs = ["clip-words@1"]
    for i in range(MAX_LOADED):
        pictures = add_pictures(registry, tmp_path, name=f"clip{i}")
        changes = {"name": f"words{i}", "feature_model": pictures.ref}
        own = words(tmp_path / "words.xml", tmp_path / "tokenizer.json", **changes)
        refs.append(add_model(registry, own).ref)
    service = TextService(registry)
    found = answers(service, [TextOrder(ref, "red") for ref in refs * 2])
    assert all(np.array_equal(vector(one), vector(found[0])) for one in found)
    assert len(service._loaded) == MAX_LOADED


def test_the_process_answers_until_its_input_ends(processes: None, registry: Registry) -> None:
    command = [sys.executable, "-P", "-m", "models.text_service", "--dir", str(registry.user_dir)]
    order = msgspec.json.encode(TextOrder("clip-words@1", "red")) + b"\n"
    done = subprocess.run(command, input=order * 3, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    found = [msgspec.json.decode(line, type=TextAnswer) for line in done.stdout.splitlines()]
    assert len(found) == 3
    expected = expected_vector([START, RED, END])
    np.testing.assert_allclose(vector(found[2]), expected, atol=1e-6)
