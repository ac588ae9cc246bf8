"""Execution plan of a task, from its request and the loaded models."""

import numpy as np

from models.detector import Detector
from models.errors import ModelError
from models.ocr import TextReader
from models.types import Floats
from streamproc.contract.task_spec import Step, TaskSpec
from streamproc.errors import TaskFailedError
from streamproc.providers.model_cache import LoadedModel, ModelCache
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
