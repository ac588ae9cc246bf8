"""Process-wide cache of models by device and precision, and what their devices' canaries found."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import structlog

from models.canary import Canary
from models.compile_cache import CompileCache
from models.detector import Detector
from models.embedding import FeatureExtractor
from models.errors import InvalidModelFileError, ModelError, UnknownModelError
from models.manifest import Manifest
from models.ocr import TextReader
from models.registry import Registry
from models.runtime import Runtime

LoadedModel = Detector | TextReader | FeatureExtractor
_log = structlog.get_logger()


class DeviceFault(NamedTuple):
    """A device that computes wrongly; `wish` is the setting that chose it."""

    wish: str
    device: str
    reason: str

    def __str__(self) -> str:
        return f"{self.device}: {self.reason}"


class ModelCache:
    """Cache of loaded models, shared by all tasks of the process; thread-safe."""

    def __init__(self, registry: Registry, compiled: CompileCache | None = None) -> None:
        """`compiled`: keeps compiled networks on disk."""
        self.registry = registry
        self._compiled = compiled
        self._runtimes: dict[str, Runtime] = {}
        self._canaries: dict[str, Canary] = {}
        self._loaded: dict[tuple[str, str, str], LoadedModel] = {}
        self._refused: dict[tuple[str, str], str] = {}
        self._avoided: set[str] = set()
        self._cpu: Runtime | None = None
        self._lock = threading.Lock()

    def runtime(self, device: str) -> Runtime:
        """Return the runtime of a device. Raises ModelError if the machine has no such device."""
        with self._lock:
            if device not in self._runtimes:
                self._use(device, Runtime(device, cache=self._compiled))
            return self._runtimes[device]

    def load(self, ref: str, device: str, precision: Any) -> LoadedModel:
        """Return the model, warmed up. Raises ModelError if it cannot be loaded.

        A model that was removed is used while it is loaded; one that was added again in its place
        is loaded anew.
        """
        runtime = self.runtime(device)
        with self._lock:
            key = (ref, device, precision)
            known = self._loaded.get(key)
            manifest = self._manifest(ref, known)
            if known is not None and _was_exchanged(known.manifest, manifest):
                self._refused.pop((ref, device), None)
                known = None
            if (ref, device) in self._refused:
                raise InvalidModelFileError(self._refused[ref, device])
            if known is None:
                known = self._loaded[key] = _load(runtime, manifest, precision)
            return known

    def loaded_refs(self) -> tuple[str, ...]:
        """Return the refs of all loaded models, sorted."""
        with self._lock:
            return tuple(sorted({ref for ref, _, _ in self._loaded}))

    def has_unchecked(self) -> bool:
        """Whether a network was loaded that no check has seen."""
        with self._lock:
            return any(canary.has_unchecked() for canary in self._canaries.values())

    def check(
        self, *, only_new: bool = False, progress: Callable[[], None] = lambda: None
    ) -> DeviceFault | None:
        """Check the loaded networks, or those that were not checked yet, with `models.canary`.

        `progress` is called after each network. A model that cannot be used on its device is
        refused from now on.
        """
        with self._lock:
            canaries = list(self._canaries.items())
        for wish, canary in canaries:
            for finding in canary.check(only_new=only_new, progress=progress):
                if finding.cause == "device":
                    return DeviceFault(wish, canary.device, str(finding))
                reason = f"{finding} on {canary.device}"
                _log.warning("a model does not fit its device", reason=reason)
                if finding.cause == "network":
                    with self._lock:
                        self._refused[finding.ref, wish] = reason
        return None

    def forget(self, device: str) -> None:
        """Load the device's models anew when they are needed next, without what is on disk."""
        if self._compiled is not None:
            self._compiled.clear()
        with self._lock:
            if device not in self._runtimes:
                return
            self._use(device, Runtime(device, avoided=self._avoided, cache=self._compiled))

    def replace(self, fault: DeviceFault) -> bool:
        """Use the next device of an `AUTO` wish, if it has the precisions that are in use.

        Returns False if there is no such device: a task's precision must not change.
        """
        with self._lock:
            used: set[Any] = {
                precision for _, wish, precision in self._loaded if wish == fault.wish
            }
            avoided = {*self._avoided, fault.device}
            try:
                other = Runtime(fault.wish, avoided=avoided, cache=self._compiled)
                for precision in used:
                    other.resolve_precision(precision)
            except ModelError:
                return False
            if other.device == fault.device:  # the wish names this device
                return False
            self._avoided = avoided
            self._use(fault.wish, other)
        _log.error("another device is used", device=other.device, reason=str(fault))
        return True

    def _manifest(self, ref: str, known: LoadedModel | None) -> Manifest:
        """Return the model's manifest, also of a loaded one that was removed."""
        try:
            return self.registry.resolve(ref)
        except UnknownModelError:
            if known is None:
                raise
            return known.manifest

    def _use(self, device: str, runtime: Runtime) -> None:
        self._loaded = {key: model for key, model in self._loaded.items() if key[1] != device}
        self._runtimes[device] = runtime
        self._canaries[device] = Canary(runtime, self._reference)

    def _reference(self) -> Runtime:
        if self._cpu is None:
            self._cpu = Runtime("CPU", "f32")
        return self._cpu


def _was_exchanged(known: Manifest, found: Manifest) -> bool:
    """Return whether the name stands for another model now; a file more is the same model."""
    if not set(known.files) <= set(found.files):
        return True
    return msgspec.structs.replace(known, files=found.files) != found


def _load(runtime: Runtime, manifest: Manifest, precision: Any) -> LoadedModel:
    model: LoadedModel
    if manifest.kind == "detect":
        model = Detector(runtime, manifest, precision)
    elif manifest.kind == "ocr":
        model = TextReader(runtime, manifest, precision)
    else:
        model = FeatureExtractor(runtime, manifest, precision)
    model.warm()
    return model
