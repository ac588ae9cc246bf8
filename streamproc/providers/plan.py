"""Execution plan of a task, and the process-wide cache of models by device and precision."""

import threading
from typing import Any

import msgspec
import numpy as np

from models.detector import Detector
from models.embedding import FeatureExtractor
from models.errors import ModelError, UnknownModelError
from models.manifest import Manifest
from models.ocr import TextReader
from models.registry import Registry
from models.runtime import Runtime
from models.types import Floats
from streamproc.contract.task_spec import Step, TaskSpec
from streamproc.errors import TaskFailedError
from streamproc.stages.perception import (
    TEXT_CLASS,
    DetectStep,
    FeatureStep,
    Plan,
    PlanStep,
    ReadStep,
)
from streamproc.stages.tracking.parameters import TrackParameters

_VEHICLES = frozenset({"automobile", "truck", "bus"})
_TWO_WHEELERS = frozenset({"bicycle", "motorcycle"})

LoadedModel = Detector | TextReader | FeatureExtractor


class ModelCache:
    """Cache of loaded models, shared by all tasks of the process; thread-safe."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._runtimes: dict[str, Runtime] = {}
        self._loaded: dict[tuple[str, str, str], LoadedModel] = {}
        self._lock = threading.Lock()

    def runtime(self, device: str) -> Runtime:
        """Return the runtime of a device. Raises ModelError if the machine has no such device."""
        with self._lock:
            if device not in self._runtimes:
                self._runtimes[device] = Runtime(device)
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
            try:
                manifest = self.registry.resolve(ref)
            except UnknownModelError:
                if known is None:
                    raise
                return known
            if known is None or _was_exchanged(known.manifest, manifest):
                known = self._loaded[key] = _load(runtime, manifest, precision)
            return known

    def loaded_refs(self) -> tuple[str, ...]:
        """Return the refs of all loaded models, sorted."""
        with self._lock:
            return tuple(sorted({ref for ref, _, _ in self._loaded}))


def build_plan(spec: TaskSpec, model_cache: ModelCache, device: str, precision: str) -> Plan:
    """Return the plan of a task; raises `TaskFailedError` if a model is not available."""
    try:
        loaded = [model_cache.load(step.model, device, precision) for step in spec.steps]
    except ModelError as exc:
        raise TaskFailedError("model_unavailable", str(exc)) from exc
    names: list[str] = []
    for model in loaded:
        if isinstance(model, Detector):
            names.extend(name for name in model.manifest.classes if name not in names)
    if not names:
        names = [TEXT_CLASS]
    steps = tuple(
        _plan_step(step, model, names) for step, model in zip(spec.steps, loaded, strict=True)
    )
    return Plan(steps, tuple(names), _threshold(spec))


def track_parameters(spec: TaskSpec, plan: Plan) -> TrackParameters:
    """Return the tracker's settings: the detector's thresholds, groups of confusable classes."""
    ids = {name: i for i, name in enumerate(plan.class_names)}
    groups = tuple(
        members
        for group in (_VEHICLES, _TWO_WHEELERS)
        if len(members := tuple(sorted(ids[name] for name in group if name in ids))) > 1
    )
    detects = [step.parameters for step in spec.steps if step.kind == "detect"]
    if not detects:
        threshold = _threshold(spec)
        return TrackParameters(
            high_threshold=threshold,
            low_threshold=threshold,
            birth_threshold=threshold,
            instant_threshold=threshold,
        )
    threshold = _threshold(spec)
    low_threshold = min(parameters["low_threshold"] for parameters in detects)
    return TrackParameters.for_detector(threshold, low_threshold, groups)


def includes_vectors(spec: TaskSpec) -> bool:
    return any(step.parameters.get("include_vector") for step in spec.steps)


def _threshold(spec: TaskSpec) -> float:
    kind = "detect" if any(step.kind == "detect" for step in spec.steps) else "ocr"
    return min(
        (float(step.parameters["threshold"]) for step in spec.steps if step.kind == kind),
        default=0.0,
    )


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


def _class_thresholds(step: Step, model: Detector) -> Floats | None:
    """Return the thresholds by the model's class ids; None if no class has one of its own."""
    own = step.parameters.get("thresholds")
    if not own:
        return None
    common = step.parameters["threshold"]
    return np.array([own.get(name, common) for name in model.manifest.classes], np.float32)


def _plan_step(step: Step, model: LoadedModel, names: list[str]) -> PlanStep:
    if isinstance(model, Detector):
        class_ids = np.array([names.index(n) for n in model.manifest.classes], np.int32)
        return DetectStep(
            model, step.parameters, class_ids, step.when, _class_thresholds(step, model)
        )
    if isinstance(model, TextReader):
        return ReadStep(model, step.parameters, step.when)
    return FeatureStep(model, step.parameters, step.when)
