"""The only place that knows OpenVINO: devices, precision, compiled networks, inference requests.

A Runtime compiles one network per model, device and precision, whoever asks, and keeps it. Every
network has a bounded pool of inference requests with the throughput hint: callers are threads, each
call takes a free request, starts it asynchronously and waits with the GIL released, so the requests
of all tasks share the device. Results are bit-for-bit repeatable for one device and one precision.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor

from models.errors import InferenceError, InvalidModelFileError, UnsupportedDeviceError
from models.manifest import Manifest, SsdOptions, YoloxOptions

Precision: TypeAlias = Literal["auto", "f32", "bf16", "f16"]
Head: TypeAlias = Literal["as_is", "best"]
"""What a network ends in: its own outputs, or the best of the last axis and its index (i32)."""

Resolved: TypeAlias = Literal["f32", "bf16", "f16"]
Outputs: TypeAlias = Sequence[npt.NDArray[Any]]

_TYPES: dict[str, ov.Type] = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
_AUTO_PRIORITIES = ("GPU", "CPU")
_REQUESTS_PER_SLOT = 2
"""Requests per one that the device works on: the next is queued while a thread reads its result."""


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """Shape and normalisation of a network's image input; -1 is a dynamic dimension.

    Callers always hand in uint8 NHWC BGR; layout, channel order and (x - mean) / scale happen in
    the graph.
    """

    batch: int
    height: int
    width: int
    layout: str = "NCHW"
    channels: str = "BGR"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Network:
    """One compiled network. Every method may be called from any number of threads at once."""

    def __init__(self, name: str, compiled: ov.CompiledModel) -> None:
        self.name = name
        self._n_outputs = len(compiled.outputs)
        n_slots = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.n_requests = n_slots * _REQUESTS_PER_SLOT
        self._free: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        for _ in range(self.n_requests):
            self._free.put(compiled.create_infer_request())

    @contextmanager
    def infer(self, batch: npt.NDArray[np.uint8]) -> Iterator[Outputs]:
        """Run on (n, height, width, 3) uint8 BGR, read in place: it must not change meanwhile.

        The outputs are views into the request: copy what is needed before the context ends.
        """
        # OpenVINO shares no read-only memory (a decoder's frame may be): that is copied once.
        shared = np.require(batch, np.uint8, ["C_CONTIGUOUS", "WRITEABLE"])
        tensor = ov.Tensor(shared, shared_memory=True)
        request = self._free.get()
        try:
            try:
                request.set_input_tensor(tensor)
                request.start_async()
                request.wait()
            except RuntimeError as exc:
                raise InferenceError(f"{self.name}: {_first_line(exc)}") from exc
            yield [request.get_output_tensor(i).data for i in range(self._n_outputs)]
        finally:
            self._free.put(request)


class Runtime:
    """Compiled networks on one device, shared by all that use them; thread-safe.

    `device` is an OpenVINO device, or `AUTO:` with priorities: the first that exists is used, for
    every network and from the first inference on, since results would otherwise depend on when a
    device is ready. Raises UnsupportedDeviceError when nothing fits.
    """

    def __init__(self, device: str = "AUTO:GPU,CPU", precision: Precision = "auto") -> None:
        self._core = ov.Core()
        self.device = _resolve_device(device, self._core.available_devices)
        self.precision = self.resolve_precision(precision)
        self._networks: dict[tuple[str, str, str], Network] = {}
        self._lock = threading.Lock()

    @cached_property
    def device_name(self) -> str:
        """The device's own full name, such as a processor's model."""
        return str(self._core.get_property(self.device, "FULL_DEVICE_NAME"))

    def resolve_precision(self, precision: Precision = "auto") -> Resolved:
        """What `auto` means here: bf16 on a CPU that has it, f16 on a GPU, else f32.

        Other values are returned when the device has them. Raises UnsupportedDeviceError otherwise:
        pinned results must not silently change.
        """
        has = set(self._core.get_property(self.device, "OPTIMIZATION_CAPABILITIES"))
        if precision == "auto":
            if self.device.startswith("CPU"):
                return "bf16" if "BF16" in has else "f32"
            return "f16" if "FP16" in has else "f32"
        if precision not in _CAPABILITIES or _CAPABILITIES[precision] not in has:
            known = ", ".join(name for name, key in _CAPABILITIES.items() if key in has)
            raise UnsupportedDeviceError(
                f"{self.device} does not compute in {precision!r}; it has {known}"
            )
        return precision

    def network(
        self,
        manifest: Manifest,
        network_input: NetworkInput,
        *,
        role: str = "network",
        head: Head = "as_is",
        precision: Precision | None = None,
    ) -> Network:
        """The compiled network of a model's file, compiled on the first call.

        A detect model's network ends in its decoder's canonical outputs (see `_attach_head`).
        Raises InvalidModelFileError when a file is changed, does not load, or does not fit its
        manifest.
        """
        resolved = self.precision if precision is None else self.resolve_precision(precision)
        key = (manifest.ref, manifest.file(role).sha256, resolved)
        with self._lock:
            if key not in self._networks:
                self._networks[key] = self._compile(manifest, network_input, role, head, resolved)
            return self._networks[key]

    def input_shape(self, name: str, content: bytes, weights: bytes) -> list[int]:
        """The shape of a network's only input, -1 for dynamic dimensions; `name` is for the error.

        Raises InvalidModelFileError when it does not load or has another number of inputs.
        """
        model = self._read(name, content, weights)
        if len(model.inputs) != 1:
            raise InvalidModelFileError(f"{name} has {len(model.inputs)} inputs; one is needed")
        if model.inputs[0].partial_shape.rank.is_dynamic:
            raise InvalidModelFileError(f"{name} has an input of unknown rank")
        return _shape(model.inputs[0])

    def _read(self, name: str, content: bytes, weights: bytes) -> ov.Model:
        try:
            return self._core.read_model(model=content, weights=weights)
        except RuntimeError as exc:
            raise InvalidModelFileError(f"{name} does not load: {_first_line(exc)}") from exc

    def _compile(
        self,
        manifest: Manifest,
        network_input: NetworkInput,
        role: str,
        head: Head,
        precision: Resolved,
    ) -> Network:
        name = f"{manifest.ref}/{role}"
        content = manifest.read_file(role)
        weights_role = f"{role}.weights"
        weights = manifest.read_file(weights_role) if manifest.has_file(weights_role) else b""
        model = self._read(name, content, weights)
        try:
            model = _attach_input(model, network_input)
            model = _attach_head(model, manifest, head)
            compiled = self._core.compile_model(
                model,
                self.device,
                {
                    "PERFORMANCE_HINT": "THROUGHPUT",
                    "INFERENCE_PRECISION_HINT": _TYPES[precision],
                },
            )
        except RuntimeError as exc:
            raise InvalidModelFileError(f"{name}: does not load: {_first_line(exc)}") from exc
        except InvalidModelFileError as exc:
            raise InvalidModelFileError(f"{name}: {exc}") from exc
        return Network(name, compiled)


def _resolve_device(device: str, available: Sequence[str]) -> str:
    family, _, rest = device.partition(":")
    if family != "AUTO":
        if (
            device.split(".", maxsplit=1)[0] not in {name.split(".")[0] for name in available}
            and not rest
        ):
            raise UnsupportedDeviceError(f"no device {device!r}; there is {', '.join(available)}")
        return device
    for wanted in rest.split(",") if rest else _AUTO_PRIORITIES:
        for name in available:
            if wanted in (name, name.split(".")[0]):
                return name
    raise UnsupportedDeviceError(f"none of {device!r} exists; there is {', '.join(available)}")


def _attach_input(model: ov.Model, network_input: NetworkInput) -> ov.Model:
    if len(model.inputs) != 1:
        raise InvalidModelFileError(f"has {len(model.inputs)} inputs; one image input is needed")
    shape = [network_input.batch, 3, network_input.height, network_input.width]
    if network_input.layout == "NHWC":
        shape = [shape[0], shape[2], shape[3], shape[1]]
    found = model.input().partial_shape
    if not found.compatible(ov.PartialShape(shape)):
        raise InvalidModelFileError(
            f"takes {found}, which {network_input.layout} {shape} does not fit"
        )
    if found != ov.PartialShape(shape):
        model.reshape(ov.PartialShape(shape))
    steps = PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.tensor().set_color_format(ColorFormat.BGR)
    image.model().set_layout(ov.Layout(network_input.layout))
    to_model = image.preprocess().convert_element_type(ov.Type.f32)
    if network_input.channels == "RGB":
        to_model.convert_color(ColorFormat.RGB)
    if any(network_input.mean):
        to_model.mean(list(network_input.mean))
    if any(value != 1.0 for value in network_input.scale):
        to_model.scale(list(network_input.scale))
    return steps.build()


def _attach_head(model: ov.Model, manifest: Manifest, head: Head) -> ov.Model:
    """End a detect network in what the decoders of `models.postprocess` take.

    nanodet, yolox: best score (1, anchors) f32, its class (1, anchors) i32, regression (1, anchors,
    k) f32, so that Python only touches the few anchors above the threshold. ssd: rows (n, 7) f32.
    """
    decoder, size = manifest.decoder, manifest.input
    if head == "best":
        best = _best(_as_f32(model.output()))
        return ov.Model([node.output(0) for node in best], model.get_parameters(), manifest.ref)
    if decoder is None or size is None:
        return model
    n_classes = len(manifest.classes)
    outputs = [_as_f32(output) for output in model.outputs]
    if isinstance(decoder, SsdOptions):
        shape = model.outputs[0].partial_shape
        if len(outputs) != 1 or shape.rank.get_length() != 4 or shape[3] != 7:
            raise InvalidModelFileError(
                f"decoder ssd needs one output [1,1,n,7], not {_shapes(model)}"
            )
        rows = ops.reshape(outputs[0], np.array([-1, 7], np.int64), False)
        return ov.Model([rows.output(0)], model.get_parameters(), manifest.ref)
    n_anchors = [-(-size.height // s) * -(-size.width // s) for s in decoder.strides]
    if isinstance(decoder, YoloxOptions):
        if len(outputs) != 1 or list(_shape(model.outputs[0])) != [
            1,
            sum(n_anchors),
            5 + n_classes,
        ]:
            raise InvalidModelFileError(
                f"decoder yolox needs one output [1,{sum(n_anchors)},{5 + n_classes}] for "
                f"{n_classes} classes, not {_shapes(model)}"
            )
        regression, objectness, classes = _split(outputs[0], [4, 1, n_classes])
        best, class_ids = _best(classes)
        best = ops.multiply(best, ops.squeeze(objectness, np.array([2])))
    else:
        scores, regression = _nanodet_parts(model, outputs, n_anchors, n_classes)
        best, class_ids = _best(scores)
    results = [node.output(0) for node in (best, class_ids)] + [_output(regression)]
    return ov.Model(results, model.get_parameters(), manifest.ref)


def _nanodet_parts(
    model: ov.Model, outputs: list[Any], n_anchors: list[int], n_classes: int
) -> tuple[Any, Any]:
    """Scores and regression over all anchors, from one output or from one of each per stride."""
    shapes = [list(_shape(output)) for output in model.outputs]
    total = sum(n_anchors)
    if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][:2] == [1, total]:
        n_regression = shapes[0][2] - n_classes
        if n_regression >= 8 and n_regression % 4 == 0:
            scores, regression = _split(outputs[0], [n_classes, n_regression])
            return scores, regression
    per_stride = [
        [i for i, s in enumerate(shapes) if len(s) == 3 and s[:2] == [1, n]] for n in n_anchors
    ]
    classes = [[i for i in found if shapes[i][2] == n_classes] for found in per_stride]
    distances = [[i for i in found if shapes[i][2] != n_classes] for found in per_stride]
    if any(len(found) != 1 for found in classes + distances):
        raise InvalidModelFileError(
            f"decoder nanodet needs [1,{total},{n_classes}+4k] or, per stride, [1,n,{n_classes}] "
            f"and [1,n,4k] with n in {n_anchors}, not {_shapes(model)}"
        )
    widths = {shapes[found[0]][2] for found in distances}
    if len(widths) != 1 or widths.pop() % 4:
        raise InvalidModelFileError(f"decoder nanodet: distances differ: {_shapes(model)}")
    return (
        ops.concat([outputs[found[0]] for found in classes], 1),
        ops.concat([outputs[found[0]] for found in distances], 1),
    )


def _best(scores: Any) -> tuple[Any, Any]:
    top = ops.topk(scores, np.int32(1), 2, "max", "none", index_element_type="i32")
    axis = np.array([2])
    return ops.squeeze(top.output(0), axis), ops.squeeze(top.output(1), axis)


def _split(node: Any, lengths: list[int]) -> list[Any]:
    return list(ops.variadic_split(node, np.int64(2), np.array(lengths, np.int64)).outputs())


def _as_f32(output: ov.Output) -> Any:
    source = output.get_node().input_value(0)
    return source if source.element_type == ov.Type.f32 else ops.convert(source, "f32").output(0)


def _output(node: Any) -> Any:
    return node if isinstance(node, ov.Output) else node.output(0)


def _shape(output: ov.Output) -> list[int]:
    return [d.get_length() if d.is_static else -1 for d in output.partial_shape]


def _shapes(model: ov.Model) -> str:
    return ", ".join(str(output.partial_shape) for output in model.outputs)


def _first_line(exc: Exception) -> str:
    """OpenVINO's messages carry source paths and a trace: their last telling line is what helps."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__
