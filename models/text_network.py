"""Networks of text encoders: token ids in, one vector out; OpenVINO on the CPU, in f32.

The inputs are told apart by name: the ids, and what exporters add to them (a mask, types and
positions of the tokens). The output is a vector of its usual names, or the only one.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import openvino as ov

from models.errors import InferenceError, InvalidModelFileError
from models.types import Floats

MAX_DIMENSIONS = 4096
_IDS = frozenset({"input_ids", "tokens", "token_ids", "text"})
_MASK = "attention_mask"
_TYPES = "token_type_ids"
_POSITIONS = "position_ids"
_VECTORS = ("text_embeds", "text_features", "sentence_embedding", "embeddings", "pooler_output")
_FOLLOWED = frozenset({"Convert", "Reshape", "Squeeze", "Unsqueeze"})
_N_THREADS = 2
"""A text is short, and the API's own work must not wait for it."""


class TextNetwork:
    """The network of a text encoder as it was exported; `name` is used in errors.

    Read it, `fix` the length of its input, then `compile` it. Raises InvalidModelFileError if it
    does not load or has other inputs than are known.
    """

    def __init__(self, name: str, content: bytes, weights: bytes) -> None:
        self.name = name
        self._core = ov.Core()
        try:
            self._model = self._core.read_model(model=content, weights=weights)
        except RuntimeError as exc:
            raise InvalidModelFileError(f"{name} does not load") from exc
        self._ids = self._input_ids()
        self._output = 0
        shape = self._ids.partial_shape
        if shape.rank.is_dynamic or shape.rank.get_length() != 2:
            raise InvalidModelFileError(f"{name}: its input {self._ids.any_name} is no list of ids")

    @property
    def context_length(self) -> int | None:
        """How many tokens it takes; None: any number."""
        length = self._ids.partial_shape[1]
        return length.get_length() if length.is_static else None

    @property
    def is_masked(self) -> bool:
        """Whether it is told which tokens are padding."""
        return any(_MASK in port.get_names() for port in self._model.inputs)

    @property
    def n_tokens(self) -> int | None:
        """How many token ids its table of embeddings has; None if that cannot be seen."""
        waiting = [self._ids]
        while waiting:
            for target in waiting.pop().get_target_inputs():
                node = target.get_node()
                if node.get_type_name() == "Gather" and target.get_index() == 1:
                    rows = node.input(0).get_partial_shape()[0]
                    return rows.get_length() if rows.is_static else None
                if node.get_type_name() in _FOLLOWED:
                    waiting.append(node.output(0))
        return None

    def fix(self, context_length: int, output: int | None = None) -> tuple[int, int]:
        """Give its input this length; return the index of the output and the vector's length.

        `output` None: the one that is a vector by its name, or the only one. Raises
        InvalidModelFileError if the network does not take that length, or no output is a vector.
        """
        try:
            self._model.reshape({port: [1, context_length] for port in self._model.inputs})
        except RuntimeError as exc:
            raise InvalidModelFileError(
                f"{self.name}: does not take {context_length} tokens of one text"
            ) from exc
        vectors = {i: n for i, port in enumerate(self._model.outputs) if (n := _dimensions(port))}
        self._output = self._vector(vectors) if output is None else output
        if self._output not in vectors:
            raise InvalidModelFileError(f"{self.name}: output {self._output} is no vector")
        return self._output, vectors[self._output]

    def output_name(self, output: int) -> str:
        """A name of the output that exporters use, else any of its names."""
        names = self._model.outputs[output].get_names()
        return next((name for name in _VECTORS if name in names), min(names, default=str(output)))

    def compile(self) -> "CompiledTextNetwork":
        """Compile it as it is fixed. Raises InvalidModelFileError if OpenVINO cannot."""
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": ov.Type.f32,
            "INFERENCE_NUM_THREADS": _N_THREADS,
        }
        try:
            compiled = self._core.compile_model(self._model, "CPU", config)
        except RuntimeError as exc:
            raise InvalidModelFileError(f"{self.name} does not compile") from exc
        return CompiledTextNetwork(self.name, compiled, self._output)

    def _input_ids(self) -> ov.Output:
        known = _IDS | {_MASK, _TYPES, _POSITIONS}
        ports = self._model.inputs
        unknown = [port for port in ports if not known & port.get_names()]
        ids = [port for port in ports if _IDS & port.get_names()]
        if len(ports) == 1 and not ids and ports[0].element_type.is_integral():
            return ports[0]
        if len(ids) != 1 or unknown:
            names = ", ".join(port.any_name for port in ports if port.get_names())
            raise InvalidModelFileError(
                f"{self.name}: its inputs ({names}) are not those of a text encoder:"
                " input_ids, attention_mask. Export the text tower alone"
            )
        return ids[0]

    def _vector(self, vectors: dict[int, int]) -> int:
        ports = self._model.outputs
        for name in _VECTORS:
            for index in vectors:
                if name in ports[index].get_names():
                    return index
        if len(vectors) == 1:
            return next(iter(vectors))
        listed = ", ".join(
            f"{min(port.get_names(), default='?')} {port.partial_shape}" for port in ports
        )
        raise InvalidModelFileError(f"{self.name}: no output is one vector a text: {listed}")


class CompiledTextNetwork:
    """A compiled text encoder, for one text at a time. Not thread-safe."""

    def __init__(self, name: str, compiled: ov.CompiledModel, output: int) -> None:
        self._name = name
        self._compiled = compiled
        self._output = output

    def run(self, ids: Sequence[int], mask: Sequence[int]) -> Floats:
        """The vector (n,) float32 of a text; `ids` and `mask` have the context's length.

        Raises InferenceError.
        """
        inputs = [
            np.array([_values(port, ids, mask)], port.element_type.to_dtype())
            for port in self._compiled.inputs
        ]
        try:
            found = self._compiled(inputs)[self._output]
        except RuntimeError as exc:
            raise InferenceError(f"{self._name} failed on {len(ids)} tokens") from exc
        vector: npt.NDArray[np.float32] = np.asarray(found, np.float32).ravel()
        return vector


def _dimensions(port: ov.Output) -> int:
    """The length of one vector a text; 0 for other shapes."""
    shape = port.partial_shape
    if shape.is_dynamic or len(shape) != 2 or shape[0].get_length() != 1:
        return 0
    length: int = shape[1].get_length()
    return length if 1 < length <= MAX_DIMENSIONS else 0


def _values(port: ov.Output, ids: Sequence[int], mask: Sequence[int]) -> Sequence[int]:
    names = port.get_names()
    if _MASK in names:
        return mask
    if _TYPES in names:
        return [0] * len(ids)
    return range(len(ids)) if _POSITIONS in names else ids
