"""Tiny text encoders and their image towers, with tokenizers, the way a user would bring them.

A text's vector is the mean of its tokens' rows of a table, times a projection: `expected_vector`
computes it in numpy from ids that are written by hand.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from models.importer import UserModel, add_model
from models.manifest import Manifest
from models.registry import Registry
from tests.models import networks

Floats = npt.NDArray[np.float32]

PAD, UNKNOWN, START, END = 0, 1, 2, 3
WORDS = ("red", "blue", "truck", "dog", "a", "photo", "of", "white", "green", "\U0001f69a")
VOCABULARY = {
    "[PAD]": PAD,
    "[UNK]": UNKNOWN,
    "<s>": START,
    "</s>": END,
    **{word: 4 + i for i, word in enumerate(WORDS)},
}
CONTEXT = 8
N_DIMENSIONS = 6


def word_table(n_tokens: int = len(VOCABULARY), n_dimensions: int = N_DIMENSIONS) -> Floats:
    """A row for each token; the words for red, blue and green are colours in the first three."""
    table = np.random.default_rng(7).normal(0, 0.1, (n_tokens, n_dimensions)).astype(np.float32)
    for word, axis in (("red", 2), ("green", 1), ("blue", 0)):
        if VOCABULARY[word] < n_tokens:
            table[VOCABULARY[word], axis] += 3
    return table


def expected_vector(ids: Sequence[int], table: Floats | None = None) -> Floats:
    """The vector of these tokens (without padding), of length 1, by numpy in 64 bits."""
    rows = (word_table() if table is None else table).astype(np.float64)[list(ids)]
    vector = rows.mean(axis=0)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def write_tokenizer(
    path: Path, *, context: int | None = CONTEXT, pads: bool = True, unknown: str | None = "[UNK]"
) -> Path:
    """A tokenizer of whole words; with `context` and `pads` it says how it cuts and fills up."""
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token=unknown or "[none]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[PAD]", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", START), ("</s>", END)]
    )
    if context is not None:
        tokenizer.enable_truncation(max_length=context)
    if pads:
        tokenizer.enable_padding(length=context, pad_id=PAD, pad_token="[PAD]")
    tokenizer.save(str(path))
    return path


def write_text_network(
    path: Path,
    *,
    table: Floats | None = None,
    context: int = CONTEXT,
    batch: int = 1,
    masked: bool = True,
    outputs: Sequence[str] = ("text_embeds",),
    ids_name: str = "input_ids",
    extra: str | None = None,
) -> Path:
    """A text tower as IR; -1 is any number. `extra` is one more input, which it adds times 0."""
    ids = ops.parameter([batch, context], np.int64, name=ids_name)
    ids.output(0).set_names({ids_name})
    inputs = [ids]
    rows = ops.gather(
        ops.constant(word_table() if table is None else table), ids, ops.constant(np.int64(0))
    )
    axis = np.array([1], np.int64)
    if masked:
        mask = ops.parameter([batch, context], np.int64, name="attention_mask")
        mask.output(0).set_names({"attention_mask"})
        inputs.append(mask)
        weights = ops.unsqueeze(ops.convert(mask, "f32"), np.array([2], np.int64))
        total = ops.reduce_sum(ops.multiply(rows, weights), axis)
        vector = ops.divide(total, ops.reduce_sum(weights, axis))
    else:
        vector = ops.reduce_mean(rows, axis)
    if extra is not None:
        more = ops.parameter([batch, context], np.int64, name=extra)
        more.output(0).set_names({extra})
        inputs.append(more)
        nothing = ops.multiply(ops.reduce_mean(ops.convert(more, "f32"), axis, True), np.float32(0))
        vector = ops.add(vector, nothing)
    results = []
    for name in outputs:
        shape = vector if name != "last_hidden_state" else rows
        result = ops.result(ops.multiply(shape, np.float32(1)))
        result.output(0).set_names({name})
        result.input(0).get_source_output().set_names({name})
        results.append(result)
    ov.save_model(ov.Model(results, inputs, "words"), str(path), compress_to_fp16=False)
    return path


def write_text_onnx(path: Path, *, context: int = CONTEXT) -> Path:
    """The same as ONNX without a mask: the mean over all tokens, padding too."""
    graph = b"".join(
        [
            networks._bytes(1, networks._node("Gather", ["table", "input_ids"], ["rows"])),
            networks._bytes(1, _mean("rows", "text_embeds")),
            networks._bytes(2, b"words"),
            networks._bytes(5, networks._tensor("table", word_table())),
            networks._bytes(11, _ids_value("input_ids", (1, context))),
            networks._bytes(12, networks._value("text_embeds", (1, N_DIMENSIONS))),
        ]
    )
    opset = networks._bytes(8, networks._bytes(1, b"") + networks._int(2, 13))
    path.write_bytes(networks._int(1, 8) + networks._bytes(7, graph) + opset)
    return path


def write_image_network(path: Path, n_dimensions: int = N_DIMENSIONS) -> Path:
    """An image tower: its first three numbers are the mean of blue, green and red."""
    image = ops.parameter([-1, 3, 16, 16], np.float32, name="pixel_values")
    means = ops.reduce_mean(image, np.array([2, 3], np.int64))
    spread = np.zeros((3, n_dimensions), np.float32)
    spread[:, :3] = np.eye(3)[::-1]  # the network sees red first
    vector = ops.matmul(means, ops.constant(spread), False, False)
    result = ops.result(vector)
    result.input(0).get_source_output().set_names({"image_embeds"})
    ov.save_model(ov.Model([result], [image], "pictures"), str(path), compress_to_fp16=False)
    return path


def add_pictures(
    registry: Registry, folder: Path, *, name: str = "clip", n_dimensions: int = N_DIMENSIONS
) -> Manifest:
    """Add an image tower."""
    network = write_image_network(folder / f"{name}-image.xml", n_dimensions)
    return add_model(registry, UserModel(network=network, kind="feature", name=name))


def words(network: Path, tokenizer: Path, /, **changes: object) -> UserModel:
    """A user's request for a text encoder of `clip`."""
    options = {
        "network": network,
        "tokenizer": tokenizer,
        "kind": "text-encoder",
        "name": "clip-words",
        "feature_model": "clip",
    } | changes
    return UserModel(**options)  # type: ignore[arg-type]  # tests also pass what is wrong


def _ids_value(name: str, shape: Sequence[int]) -> bytes:
    """ValueInfoProto of int64 (7)."""
    dims = b"".join(networks._bytes(1, networks._int(1, d)) for d in shape)
    tensor_type = networks._int(1, 7) + networks._bytes(2, dims)
    return networks._bytes(1, name.encode()) + networks._bytes(2, networks._bytes(1, tensor_type))


def _mean(source: str, name: str) -> bytes:
    """ReduceMean over the tokens: `axes` is a list of integers (field 8, type 7)."""
    axes = networks._bytes(1, b"axes") + networks._int(8, 1) + networks._int(20, 7)
    node = networks._node("ReduceMean", [source], [name], networks._attribute("keepdims", 0))
    return node + networks._bytes(5, axes)
