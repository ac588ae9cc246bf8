"""A network file as it is read: its outputs, its input, its metadata, and what lies beside it."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import openvino as ov
import yaml

from models.errors import InvalidModelFileError
from models.heads import image_input

Shape: TypeAlias = list[int]

STRIDES = (8, 16, 32)
_MAX_NAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A network's outputs (name, shape with -1 for dynamic), input size and metadata."""

    outputs: tuple[tuple[str, Shape], ...]
    size: tuple[int, int]  # height, width; -1 for dynamic
    inputs: frozenset[str]
    framework: Mapping[str, str]
    model_info: Mapping[str, str]
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_cells(self) -> int | None:
        """The cells of the three usual strides over its input; None if its size is dynamic."""
        height, width = self.size
        if min(height, width) < 1:
            return None
        return sum(-(-height // s) * -(-width // s) for s in STRIDES)

    @property
    def listed(self) -> str:
        """The outputs' names and shapes, for an error."""
        return ", ".join(f"{name} {shape}" for name, shape in self.outputs)

    def at(self, *names: str) -> int | None:
        """The index of the output with one of these names, or a name that ends in one."""
        for index, (known, _) in enumerate(self.outputs):
            if any(known == name or known.endswith(f"/{name}") for name in names):
                return index
        return None


def load_network(core: ov.Core, network: Path, content: bytes, weights: bytes) -> ov.Model:
    """Load a network; raises InvalidModelFileError if OpenVINO cannot."""
    try:
        return core.read_model(model=content, weights=weights)
    except RuntimeError as exc:
        raise InvalidModelFileError(f"{network.name} does not load") from exc


def read_network(model: ov.Model, network: Path) -> NetworkFile:
    """Describe a network of one image input; raises InvalidModelFileError for others."""
    image = image_input(model)
    shape = [d.get_length() if d.is_static else -1 for d in image.partial_shape]
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise InvalidModelFileError(f"{network.name}: its input {shape} is no image of 3 channels")
    size = (shape[2], shape[3]) if shape[1] == 3 else (shape[1], shape[2])
    outputs = []
    for index, port in enumerate(model.outputs):
        name = min(port.get_names()) if port.get_names() else f"#{index}"
        if port.partial_shape.rank.is_dynamic:
            raise InvalidModelFileError(f"{network.name}: its output {name} has an unknown rank")
        outputs.append((name, [d.get_length() if d.is_static else -1 for d in port.partial_shape]))
    names = frozenset(name for port in model.inputs for name in port.get_names())
    return NetworkFile(
        tuple(outputs),
        size,
        names,
        _info(model, "framework"),
        _info(model, "model_info"),
        _beside(network),
    )


def class_names(file: NetworkFile) -> tuple[str, ...]:
    """The class names in a network's metadata, or in files beside it; none if nothing has them."""
    for text in (file.framework.get("names"), file.model_info.get("names")):
        if text and len(text) <= _MAX_NAMES:
            try:
                return _listed(ast.literal_eval(text))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
    labels = file.model_info.get("labels")
    if labels:
        return tuple(label.replace("_", " ") for label in labels.split())
    for key in ("names", "id2label", "label_list", "labels"):
        if file.beside.get(key):
            try:
                return _listed(file.beside[key])
            except (ValueError, TypeError) as exc:
                raise InvalidModelFileError(
                    f"beside the network, {key!r} names no classes"
                ) from exc
    return ()


def _listed(names: Any) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        return tuple(str(names[key]) for key in sorted(names, key=int))
    return tuple(str(name) for name in names)


def _info(model: ov.Model, section: str) -> dict[str, str]:
    if not model.has_rt_info([section]):
        return {}
    value = model.get_rt_info([section])
    value = getattr(value, "value", value)
    if not isinstance(value, dict):
        return {}
    return {str(key): str(getattr(item, "value", item)) for key, item in value.items()}


def _beside(network: Path) -> dict[str, Any]:
    """Metadata files in the network's folder: Ultralytics' YAML, Hugging Face's JSON."""
    found: dict[str, Any] = {}
    for name in ("metadata.yaml", "config.json", "preprocessor_config.json"):
        try:
            text = (network.parent / name).read_text(encoding="utf-8")
            part = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
        except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError):
            continue
        if isinstance(part, dict):
            found |= part
    return found
