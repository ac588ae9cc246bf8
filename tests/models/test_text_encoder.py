"""Text encoders: added, run, and compared with numpy on ids that are written by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from models.__main__ import main
from models.embedding import FeatureExtractor
from models.errors import (
    InferenceError,
    InvalidManifestError,
    InvalidModelFileError,
    UnknownModelError,
    UnusableTextError,
)
from models.importer import UserModel, add_model, model_file
from models.manifest import Manifest, load_manifest
from models.registry import Registry
from models.runtime import Runtime
from models.text_encoder import TextEncoder
from models.text_tokens import MAX_TOKENIZER_BYTES
from tests.models.text_networks import (
    CONTEXT,
    END,
    N_DIMENSIONS,
    PAD,
    START,
    UNKNOWN,
    VOCABULARY,
    add_pictures,
    expected_vector,
    word_table,
    words,
    write_text_network,
    write_text_onnx,
    write_tokenizer,
)

RED, TRUCK, DOG = VOCABULARY["red"], VOCABULARY["truck"], VOCABULARY["dog"]


@pytest.fixture(scope="module")
def with_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    add_pictures(Registry(folder / "own"), folder)
    return folder / "own"


@pytest.fixture
def registry(tmp_path: Path, with_clip: Path) -> Registry:
    """A registry with the image tower `clip`, for words to find its pictures."""
    shutil.copytree(with_clip, tmp_path / "own")
    return Registry(tmp_path / "own")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_text_network(tmp_path / "words.xml")


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "tokenizer.json")


def test_a_text_has_the_vector_that_numpy_gives(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    manifest = add_model(registry, words(network, tokenizer))
    assert (manifest.ref, manifest.kind) == ("clip-words@1", "text-encoder")
    assert manifest.text is not None
    assert manifest.text.feature_model == "clip@1"
    assert manifest.text.context_length == CONTEXT
    encoder = TextEncoder(load_manifest(manifest.directory / "manifest.toml"))
    found = encoder.encode("red truck")
    np.testing.assert_allclose(found, expected_vector([START, RED, TRUCK, END]), atol=1e-6)
    assert found.dtype == np.float32
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(found, encoder.encode("red truck"))


def test_words_find_the_pictures_of_their_image_tower(
    registry: Registry, network: Path, tokenizer: Path, runtime: Runtime
) -> None:
    """The whole idea: of a red, a green and a blue picture, each colour's word is nearest."""
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    extractor = FeatureExtractor(runtime, registry.resolve("clip"), "f32")
    pictures = np.zeros((32, 96, 3), np.uint8)
    for i, channel in enumerate((2, 1, 0)):  # red, green, blue; pixels are BGR
        pictures[:, 32 * i : 32 * i + 32, channel] = 255
    boxes = np.array([[32 * i, 0, 32 * i + 32, 32] for i in range(3)], np.float32)
    vectors = extractor.extract(pictures, boxes)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = [int((vectors @ encoder.encode(word)).argmax()) for word in ("red", "green", "blue")]
    assert nearest == [0, 1, 2]


def test_a_network_without_a_mask_sees_its_padding(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    network = write_text_network(tmp_path / "words.xml", masked=False)
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    padded = [START, RED, TRUCK, END, PAD, PAD, PAD, PAD]
    np.testing.assert_allclose(encoder.encode("red truck"), expected_vector(padded), atol=1e-6)


def test_onnx_is_taken_like_ir(registry: Registry, tmp_path: Path, tokenizer: Path) -> None:
    network = write_text_onnx(tmp_path / "words.onnx")
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    padded = [START, RED, END, *[PAD] * 5]
    np.testing.assert_allclose(encoder.encode("red"), expected_vector(padded), atol=1e-6)


def test_a_long_text_is_cut_and_keeps_its_end(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    cut = expected_vector([START, *[RED] * (CONTEXT - 2), END])
    for n in (CONTEXT - 2, CONTEXT, 2500):  # 2500 words are 10 kB
        np.testing.assert_allclose(encoder.encode("red " * n), cut, atol=1e-6)


def test_words_that_are_not_known_count_as_such(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    expected = expected_vector([START, UNKNOWN, DOG, END])
    np.testing.assert_allclose(encoder.encode("zebra dog"), expected, atol=1e-6)
    emoji = expected_vector([START, VOCABULARY["\U0001f69a"], END])
    np.testing.assert_allclose(encoder.encode("\U0001f69a"), emoji, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["", " ", "zebra", "\0", "\U0001f9d1\u200d\U0001f680", "zebra " * 9]
)
def test_a_text_without_any_known_word_has_no_vector(
    registry: Registry, network: Path, tokenizer: Path, text: str
) -> None:
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    with pytest.raises(UnusableTextError, match=r"clip-words@1 knows no word"):
        encoder.encode(text)


def test_half_a_character_is_refused(registry: Registry, network: Path, tokenizer: Path) -> None:
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    with pytest.raises(UnusableTextError, match=r"cannot read"):
        encoder.encode("\ud800 red")


def test_a_special_token_in_a_text_is_text(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    """A client cannot end its text early: `</s>` is three words that are not known."""
    encoder = TextEncoder(add_model(registry, words(network, tokenizer)))
    expected = expected_vector([START, *[UNKNOWN] * 3, RED, END])
    np.testing.assert_allclose(encoder.encode("</s> red"), expected, atol=1e-6)


@pytest.mark.parametrize("context", [CONTEXT, 16])
def test_the_network_says_how_many_tokens_it_takes(
    registry: Registry, tmp_path: Path, context: int
) -> None:
    network = write_text_network(tmp_path / "words.xml", context=context, batch=-1)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", context=None, pads=False)
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": {"content": "[PAD]"}}')
    manifest = add_model(registry, words(network, tokenizer))
    assert manifest.text is not None
    assert (manifest.text.context_length, manifest.text.pad_id) == (context, PAD)


def test_what_no_file_says_is_asked(registry: Registry, tmp_path: Path) -> None:
    network = write_text_network(tmp_path / "words.xml", context=-1, batch=-1, masked=False)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", context=None, pads=False)
    with pytest.raises(InvalidModelFileError, match=r"state --context-length"):
        add_model(registry, words(network, tokenizer))
    with pytest.raises(InvalidModelFileError, match=r"state --pad-token"):
        add_model(registry, words(network, tokenizer, context_length=5))
    with pytest.raises(InvalidManifestError, match=r"no token 'nothing'"):
        add_model(registry, words(network, tokenizer, context_length=5, pad_token="nothing"))
    settled = words(network, tokenizer, context_length=5, pad_token="</s>")
    encoder = TextEncoder(add_model(registry, settled))
    expected = expected_vector([START, RED, END, END, END])
    np.testing.assert_allclose(encoder.encode("red"), expected, atol=1e-6)


def test_files_beside_the_tokenizer_say_it_too(registry: Registry, tmp_path: Path) -> None:
    network = write_text_network(tmp_path / "words.xml", context=-1, masked=False)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", context=None, pads=False)
    config = {"model_max_length": 6, "pad_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    manifest = add_model(registry, words(network, tokenizer))
    assert manifest.text is not None
    assert (manifest.text.context_length, manifest.text.pad_id) == (6, END)


def test_a_number_of_thirty_digits_is_no_limit(registry: Registry, tmp_path: Path) -> None:
    network = write_text_network(tmp_path / "words.xml", context=-1)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", context=None)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1' + "0" * 30 + "}")
    with pytest.raises(InvalidModelFileError, match=r"state --context-length"):
        add_model(registry, words(network, tokenizer))


def test_what_exporters_add_to_the_ids_is_given(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    for i, extra in enumerate(("token_type_ids", "position_ids")):
        network = write_text_network(tmp_path / f"words-{i}.xml", extra=extra)
        pictures = add_pictures(registry, tmp_path, name=f"clip{i}")
        own = words(network, tokenizer, name=f"words{i}", feature_model=pictures.ref)
        found = TextEncoder(add_model(registry, own)).encode("red")
        np.testing.assert_allclose(found, expected_vector([START, RED, END]), atol=1e-6)


def test_the_vector_is_found_among_other_outputs(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    outputs = ("last_hidden_state", "pooler_output", "text_embeds")
    network = write_text_network(tmp_path / "words.xml", outputs=outputs)
    manifest = add_model(registry, words(network, tokenizer))
    assert manifest.output == 2
    found = TextEncoder(manifest).encode("red")
    np.testing.assert_allclose(found, expected_vector([START, RED, END]), atol=1e-6)


def refused(registry: Registry, own: UserModel, reason: str) -> None:
    with pytest.raises((InvalidModelFileError, InvalidManifestError), match=reason):
        add_model(registry, own)
    assert registry.text_encoders() == {}
    assert registry.user_dir is not None
    assert [path.name for path in registry.user_dir.iterdir()] == ["clip@1"]


def test_vectors_of_another_length_belong_to_another_model(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    table = word_table(n_dimensions=5)
    network = write_text_network(tmp_path / "words.xml", table=table)
    refused(registry, words(network, tokenizer), r"gives 5 numbers, clip@1 gives 6")


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    network = write_text_network(tmp_path / "words.xml", table=word_table(n_tokens=9))
    refused(registry, words(network, tokenizer), r"has ids up to 13, words.xml knows 9 tokens")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_vectors_without_a_direction_are_refused(
    registry: Registry, tmp_path: Path, tokenizer: Path, value: float
) -> None:
    table = np.full_like(word_table(), value)
    network = write_text_network(tmp_path / "words.xml", table=table)
    refused(registry, words(network, tokenizer), r"vector without a direction")


def test_a_network_that_does_not_read_is_refused(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    network = write_text_network(tmp_path / "words.xml", table=np.ones_like(word_table()))
    refused(registry, words(network, tokenizer), r"every text has the same vector")


def test_a_text_whose_vector_is_no_number_is_an_error(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    """What was fine when it was tried can still fail on another text."""
    table = word_table()
    table[DOG] = np.nan
    network = write_text_network(tmp_path / "words.xml", table=table)
    # The first texts that are tried have no dog in them: `a photo of a red truck`, then its words.
    tokens = write_tokenizer(tmp_path / "tokenizer.json")
    encoder = TextEncoder(exchanged(registry, network, tokens))
    assert np.isfinite(encoder.encode("red")).all()
    with pytest.raises(InferenceError, match=r"clip-words@1"):
        encoder.encode("red dog")


def exchanged(registry: Registry, network: Path, tokenizer: Path) -> Manifest:
    """Add a good network, then exchange it with this one and its manifest's sum."""
    good = write_text_network(network.with_name("good.xml"))
    manifest = add_model(registry, words(good, tokenizer))
    text = (manifest.directory / "manifest.toml").read_text()
    for role, path in (("network", network), ("network.weights", network.with_suffix(".bin"))):
        new = manifest.directory / manifest.file(role).path
        text = text.replace(manifest.file(role).sha256, model_file(role, path).sha256)
        new.write_bytes(path.read_bytes())
    (manifest.directory / "manifest.toml").write_text(text)
    return load_manifest(manifest.directory / "manifest.toml")


@pytest.mark.parametrize("inputs", [{"extra": "pixel_values"}, {"ids_name": "x", "masked": True}])
def test_other_inputs_are_refused_by_name(
    registry: Registry, tmp_path: Path, tokenizer: Path, inputs: dict[str, object]
) -> None:
    network = write_text_network(tmp_path / "words.xml", **inputs)  # type: ignore[arg-type]
    refused(registry, words(network, tokenizer), r"Export the text tower alone")


def test_a_network_without_a_vector_is_refused_with_its_outputs(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    network = write_text_network(tmp_path / "words.xml", outputs=("last_hidden_state",))
    refused(registry, words(network, tokenizer), r"no output is one vector a text: last_hidden")


def test_clip_without_its_projection_is_refused(
    registry: Registry, tmp_path: Path, tokenizer: Path
) -> None:
    outputs = ("last_hidden_state", "pooler_output")
    network = write_text_network(tmp_path / "words.xml", outputs=outputs)
    (tmp_path / "config.json").write_text('{"model_type": "clip_text_model"}')
    refused(registry, words(network, tokenizer), r"not projected")
    (tmp_path / "config.json").write_text('{"model_type": "siglip_text_model"}')
    assert add_model(registry, words(network, tokenizer)).output == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"version": "1.0"}', b'{"model": null}'],
)
def test_a_broken_tokenizer_is_refused(
    registry: Registry, tmp_path: Path, network: Path, content: bytes
) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(content)
    refused(registry, words(network, tokenizer), r"is empty|is no tokenizer\.json")


def test_a_cut_tokenizer_is_refused_wherever_it_is_cut(
    registry: Registry, tmp_path: Path, network: Path, tokenizer: Path
) -> None:
    whole = tokenizer.read_bytes()
    for size in range(1, len(whole) - 1, len(whole) // 40):
        (tmp_path / "cut.json").write_bytes(whole[:size])
        refused(registry, words(network, tmp_path / "cut.json"), r"cut\.json is no tokenizer")


def test_a_huge_tokenizer_is_refused_unread(
    registry: Registry, tmp_path: Path, network: Path
) -> None:
    huge = tmp_path / "tokenizer.json"
    with huge.open("wb") as file:
        file.truncate(MAX_TOKENIZER_BYTES + 1)
    refused(registry, words(network, huge), r"more than 64 MiB")


def test_the_tokenizer_beside_the_network_is_taken(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    add_model(registry, words(network, tokenizer, tokenizer=None))
    network.with_name("tokenizer.json").unlink()
    other = add_pictures(registry, network.parent, name="other").ref
    with pytest.raises(InvalidModelFileError, match=r"state --tokenizer"):
        add_model(
            registry, words(network, tokenizer, tokenizer=None, version="2", feature_model=other)
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"feature_model": None}, r"State --for"),
        ({"feature_model": "nanodet-g"}, r"nanodet-g@1\.1\.0 is no feature model"),
        ({"context_length": 9}, r"words\.xml takes 8 tokens, not 9"),
        ({"kind": "feature"}, r"belong to --kind text-encoder"),
    ],
)
def test_a_wrong_option_is_named(
    registry: Registry, network: Path, tokenizer: Path, changes: dict[str, object], reason: str
) -> None:
    refused(registry, words(network, tokenizer, **changes), reason)


def test_an_unknown_feature_model_is_named(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    with pytest.raises(UnknownModelError, match=r"unknown model 'siglip'"):
        add_model(registry, words(network, tokenizer, feature_model="siglip"))


def test_a_feature_model_has_one_text_encoder(
    registry: Registry, network: Path, tokenizer: Path
) -> None:
    manifest = add_model(registry, words(network, tokenizer))
    assert registry.text_encoders() == {"clip@1": manifest}
    with pytest.raises(InvalidManifestError, match=r"clip@1 has a text encoder, clip-words@1"):
        add_model(registry, words(network, tokenizer, version="2"))


def test_the_command_adds_and_lists_it(
    registry: Registry, network: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = ["--dir", str(registry.user_dir)]
    options = ["--kind", "text-encoder", "--tokenizer", str(tokenizer), "--for", "clip"]
    assert main(["add", str(network), *options, "--name", "w", *directory]) == 0
    said = capsys.readouterr().out
    assert "added w@1: words that find the pictures of clip@1 (text_embeds)" in said
    assert f"{N_DIMENSIONS} dimensions" in said
    assert main(["list", "--json", *directory]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [m["kind"] for m in listed if m["ref"] == "w@1"] == ["text-encoder"]


def test_a_vocabulary_without_everyday_words_is_tried_with_its_own(
    registry: Registry, tmp_path: Path
) -> None:
    """The words of a network may be of another language: two of its own have to differ."""
    vocabulary = {"[UNK]": 0, "##rot": 1, "blau</w>": 2, "rot": 3, "blau": 4}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    network = write_text_network(tmp_path / "words.xml")
    own = words(network, tmp_path / "tokenizer.json")
    encoder = TextEncoder(add_model(registry, own))
    np.testing.assert_allclose(encoder.encode("blau"), expected_vector([4]), atol=1e-6)


def test_a_vocabulary_of_one_word_cannot_be_tried(registry: Registry, tmp_path: Path) -> None:
    """It has no token for unknown words either: the library fails on every other text."""
    Tokenizer(WordLevel({"rot": 0})).save(str(tmp_path / "tokenizer.json"))
    network = write_text_network(tmp_path / "words.xml")
    own = words(network, tmp_path / "tokenizer.json", pad_token="rot")
    refused(registry, own, r"its tokenizer knows no two texts")
