"""OpenVINO runtime: devices, precision, compiled networks and inference request pools.

A Runtime compiles a network once per model, size, device and precision, and its callers share it.
Every network has a bounded pool of inference requests, compiled with the throughput hint. Callers
are threads: each call takes a free request, starts it asynchronously and waits with the GIL
released, so the requests of all tasks share the device. Results are bit-for-bit repeatable for one
device and one precision.
"""

import queue
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import openvino as ov

from models.compile_cache import CompileCache
from models.errors import (
    InferenceError,
    InvalidModelFileError,
    UnsupportedDeviceError,
    reason_of,
)
from models.graph_io import Head, NetworkInput, attach_head, attach_input, shape_of
from models.graph_passes import simplify
from models.heads import image_input
from models.manifest import Manifest
from models.processor import has_vnni

Precision: TypeAlias = Literal["auto", "f32", "bf16", "f16", "i8", "i8-bf16"]
Resolved: TypeAlias = Literal["f32", "bf16", "f16", "i8", "i8-bf16"]
Outputs: TypeAlias = Sequence[npt.NDArray[Any]]

_TYPES: dict[str, ov.Type] = {
    "f32": ov.Type.f32,
    "bf16": ov.Type.bf16,
    "f16": ov.Type.f16,
    "i8": ov.Type.f32,
    "i8-bf16": ov.Type.bf16,
}
"""Type of the layers and networks that are not quantised."""
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
_QUANTISED = ".i8"
"""Suffix of the role of a network's quantised file."""
_AUTO_PRIORITIES = ("GPU", "CPU")
_REQUESTS_PER_SLOT = 2
"""Requests per device slot: while a thread reads one result, the next request is queued."""


_Key: TypeAlias = tuple[str, str, str, NetworkInput]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a network is compiled from; `role`: the model's file, or the one without quantising."""

    manifest: Manifest
    network_input: NetworkInput
    role: str
    head: Head
    precision: Resolved

    @property
    def name(self) -> str:
        """The model's ref and the file's role, for messages."""
        return f"{self.manifest.ref}/{self.role}"

    @property
    def is_quantised(self) -> bool:
        """Whether the quantised file is used."""
        return self.precision == "i8" and self.manifest.has_file(self.role + _QUANTISED)


class Network:
    """Compiled network with a pool of inference requests. Thread-safe."""

    def __init__(self, recipe: Recipe, compiled: ov.CompiledModel) -> None:
        self.recipe = recipe
        self.name = recipe.name
        n_slots = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.n_requests = n_slots * _REQUESTS_PER_SLOT
        self._free: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        for _ in range(self.n_requests):
            self._free.put(_Request(compiled.create_infer_request()))

    @contextmanager
    def infer(self, batch: npt.NDArray[np.uint8]) -> Iterator[Outputs]:
        """Run on (n, height, width, 3) uint8 BGR. The array is not copied: do not change it.

        Waits for a free request. The outputs belong to the request: copy the needed values before
        the context ends. Raises InferenceError.
        """
        # OpenVINO cannot share read-only memory, which a decoder's frame may be: it is copied.
        shared = np.require(batch, np.uint8, ["C_CONTIGUOUS", "WRITEABLE"])
        tensor = ov.Tensor(shared, shared_memory=True)
        request = self._free.get()
        try:
            try:
                request.run(tensor)
            except RuntimeError as exc:
                raise InferenceError(f"{self.name}: {reason_of(exc)}") from exc
            yield request.outputs()
        finally:
            self._free.put(request)


class _Request:
    """An inference request. Outputs of static shape are written to preallocated arrays."""

    def __init__(self, request: ov.InferRequest) -> None:
        self._request = request
        self._kept: dict[int, npt.NDArray[Any]] = {}
        self._n_outputs = len(request.model_outputs)
        for index, output in enumerate(request.model_outputs):
            if output.partial_shape.is_static:
                array = np.empty(list(output.shape), output.element_type.to_dtype())
                request.set_output_tensor(index, ov.Tensor(array, shared_memory=True))
                self._kept[index] = array

    def run(self, image: ov.Tensor) -> None:
        self._request.set_input_tensor(image)
        self._request.start_async()
        self._request.wait()

    def outputs(self) -> Outputs:
        kept, request = self._kept, self._request
        return [
            kept[i] if i in kept else request.get_output_tensor(i).data
            for i in range(self._n_outputs)
        ]


class Runtime:
    """Cache of compiled networks on one device, shared by all callers; thread-safe.

    `device` is an OpenVINO device, or `AUTO:` with priorities. The first device that exists is used
    for every network, from the first inference on; otherwise results would depend on the time when
    a device is ready. `AUTO` passes over the devices of `avoided`. `cache` keeps compiled networks
    on disk. Raises UnsupportedDeviceError if no device matches.
    """

    def __init__(
        self,
        device: str = "AUTO:GPU,CPU",
        precision: Precision = "auto",
        *,
        avoided: Collection[str] = (),
        cache: CompileCache | None = None,
    ) -> None:
        self._core = ov.Core()
        self._cache = cache
        self.device = _resolve_device(device, self._core.available_devices, avoided)
        self.precision = self.resolve_precision(precision)
        self._networks: WeakValueDictionary[_Key, Network] = WeakValueDictionary()
        self._compiling: dict[_Key, Future[Network]] = {}
        self._lock = threading.Lock()

    @cached_property
    def device_name(self) -> str:
        """The full name that the device reports, such as a processor's model."""
        return str(self._core.get_property(self.device, "FULL_DEVICE_NAME"))

    def resolve_precision(self, precision: Precision = "auto") -> Resolved:
        """Resolve `auto`: the first that a CPU has of i8-bf16, i8, bf16, f32; f16 on a GPU, or f32.

        i8 and i8-bf16 use the quantised networks of those models that have them, with bit-for-bit
        the same results; the networks of the others are computed in f32 or bf16. Another value than
        `auto` is returned unchanged if the device supports it. Otherwise raises
        UnsupportedDeviceError, because results of a pinned precision must not silently change.
        """
        has = self.precisions()
        if precision == "auto":
            return has[0]
        if precision not in has:
            raise UnsupportedDeviceError(
                f"{self.device} does not compute in {precision!r}; it has {', '.join(has)}"
            )
        return precision

    def precisions(self) -> list[Resolved]:
        """The precisions that the device has, those that `auto` prefers first."""
        listed = set(self._core.get_property(self.device, "OPTIMIZATION_CAPABILITIES"))
        on_cpu = self.device.startswith("CPU")
        order: tuple[Resolved, ...] = ("bf16", "f32", "f16") if on_cpu else ("f16", "f32", "bf16")
        has = [name for name in order if _CAPABILITIES[name] in listed]
        if on_cpu and has_vnni():
            return ["i8-bf16", "i8", *has] if "bf16" in has else ["i8", *has]
        return has

    def network(
        self,
        manifest: Manifest,
        network_input: NetworkInput,
        *,
        role: str = "network",
        head: Head = "as_is",
        precision: Precision | None = None,
    ) -> Network:
        """The compiled network of a model's file, for one size of its input.

        Callers share it as long as one of them keeps it; the first one compiles it, while others
        that need the same wait.
        A detect model's network has its decoder's canonical outputs (see `models.graph_io`).
        Raises InvalidModelFileError if a file was changed, does not load, or does not fit its
        manifest.
        """
        resolved = self.precision if precision is None else self.resolve_precision(precision)
        float_role = role
        if resolved in {"i8", "i8-bf16"} and manifest.has_file(role + _QUANTISED):
            # The few layers that are not quantised are computed in f32 in both: the results are
            # the same on processors with and without bf16.
            role, resolved = role + _QUANTISED, "i8"
        key = (manifest.ref, manifest.file(role).sha256, resolved, network_input)
        with self._lock:
            known = self._networks.get(key)
            if known is not None:
                return known
            waiting = self._compiling.get(key)
            if waiting is None:
                ours = self._compiling[key] = Future()
        if waiting is not None:
            return waiting.result()
        try:
            recipe = Recipe(manifest, network_input, float_role, head, resolved)
            network = self._compile(recipe, role)
        except BaseException as exc:
            with self._lock:
                del self._compiling[key]
            ours.set_exception(exc)
            raise
        with self._lock:
            self._networks[key] = network
            del self._compiling[key]
        ours.set_result(network)
        return network

    def networks(self) -> list[Network]:
        """The compiled networks that are in use, in no order."""
        with self._lock:
            return list(self._networks.values())

    def input_shape(self, name: str, content: bytes, weights: bytes) -> list[int]:
        """Shape of a network's image input, -1 for dynamic dimensions; `name` is used in errors.

        Raises InvalidModelFileError if the network does not load, or has other inputs than are
        known, or an input of unknown rank.
        """
        try:
            image = image_input(self._read(name, content, weights))
        except InvalidModelFileError as exc:
            raise InvalidModelFileError(f"{name} {exc}") from exc
        if image.partial_shape.rank.is_dynamic:
            raise InvalidModelFileError(f"{name} has an input of unknown rank")
        return shape_of(image)

    def _read(self, name: str, content: bytes, weights: bytes) -> ov.Model:
        try:
            return self._core.read_model(model=content, weights=weights)
        except RuntimeError as exc:
            raise InvalidModelFileError(f"{name} does not load: {reason_of(exc)}") from exc

    def _compile(self, recipe: Recipe, role: str) -> Network:
        manifest, network_input = recipe.manifest, recipe.network_input
        name = f"{manifest.ref}/{role}"
        content = manifest.read_file(role)
        weights_role = f"{role}.weights"
        weights = manifest.read_file(weights_role) if manifest.has_file(weights_role) else b""
        model = self._read(name, content, weights)
        try:
            model = attach_input(model, network_input)
            model = attach_head(model, manifest, recipe.head, network_input)
            simplify(model)
            properties = {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": _TYPES[recipe.precision],
            }
            if self._cache is None:
                compiled = self._core.compile_model(model, self.device, properties)
            else:
                compiled = self._cache.compile(self._core, model, self.device, properties)
        except RuntimeError as exc:
            raise InvalidModelFileError(f"{name}: does not load: {reason_of(exc)}") from exc
        except InvalidModelFileError as exc:
            raise InvalidModelFileError(f"{name}: {exc}") from exc
        return Network(recipe, compiled)


def _resolve_device(device: str, available: Sequence[str], avoided: Collection[str] = ()) -> str:
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
            if wanted in (name, name.split(".")[0]) and name not in avoided:
                return name
    raise UnsupportedDeviceError(f"none of {device!r} exists; there is {', '.join(available)}")
