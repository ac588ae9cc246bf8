"""What a text may be, and which text encoder is taken."""

from pathlib import Path

import pytest

from api.errors import InvalidRequestError
from api.tasks.text_search import MAX_LIKE_TEXT, choose_text_encoder, parse_like_text
from models.importer import add_model
from models.registry import Registry
from tests.models.text_networks import add_pictures, words, write_text_network, write_tokenizer


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("red truck", "red truck"),
        ("  red\t\n truck ", "red truck"),
        ("\U0001f9d1\u200d\U0001f680 \u00e9t\u00e9", "\U0001f9d1\u200d\U0001f680 \u00e9t\u00e9"),
        ("x" * MAX_LIKE_TEXT, "x" * MAX_LIKE_TEXT),
        (" " * 9999 + "x", "x"),
    ],
)
def test_a_text_is_its_words(text: str, read: str) -> None:
    assert parse_like_text(text) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \t\n\u00a0", "is empty"),
        ("x" * (MAX_LIKE_TEXT + 1), "must have at most 512 characters"),
        ("red " * 2500, "must have at most 512 characters"),
        ("red\0truck", "must not hold control characters"),
        ("red\x1b[31m", "must not hold control characters"),
        ("\ud800", "must not hold control characters"),
    ],
)
def test_what_is_no_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        parse_like_text(text)
    assert refusal.value.errors == [{"field": "like_text", "message": reason}]


def test_the_text_encoder_is_that_of_the_feature_model(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "own")

    def refusal(like_model: str | None) -> str:
        with pytest.raises(InvalidRequestError) as refused:
            choose_text_encoder(registry, like_model)
        return refused.value.detail

    assert refusal(None) == "like_text: no text encoder is added"
    add_pictures(registry, tmp_path)
    assert refusal("clip") == "like_text: no text encoder for model clip@1 is added"
    network = write_text_network(tmp_path / "words.xml")
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    first = add_model(registry, words(network, tokenizer))
    for name in (None, "clip", "clip@1"):
        assert choose_text_encoder(registry, name) == ("clip@1", first)
    assert refusal("feature") == "like_text: no text encoder for model strip512@1.0.0 is added"
    assert refusal("siglip") == "like_model: no such model; text encoders are added for: clip@1"
    add_pictures(registry, tmp_path, name="siglip")
    own = words(network, tokenizer, name="siglip-words", feature_model="siglip")
    second = add_model(registry, own)
    assert refusal(None) == "like_model: is needed: there are text encoders for clip@1, siglip@1"
    assert choose_text_encoder(registry, "siglip") == ("siglip@1", second)
