"""Builder of the body of `POST /v1/video/process` from command-line options. No I/O.

`--when` is `STEP:CONDITION[;CONDITION]`: `ocr:class_is=automobile,truck;min_confidence=.7`.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

from console.errors import RequestWordsError

STEPS = ("detect", "ocr", "feature")
ALL_CLASSES = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWords:
    """Request options of `run` and `start`, without the video.

    `detect` None: not requested; empty or `all`: all classes. `start` and `end` are in `unit`.
    `steps` is JSON text. It replaces the options that define steps and excludes them.
    """

    detect: tuple[str, ...] | None = None
    ocr: bool = False
    feature: bool = False
    include_vector: bool = False
    threshold: float | None = None
    detail: str | None = None
    when: tuple[str, ...] = ()
    steps: str | None = None
    fps: float | None = None
    interval: int | None = None
    keyframes: bool = False
    start: float | None = None
    end: float | None = None
    unit: str = "seconds"
    max_frames: int | None = None
    stream: int | None = None
    model: str | None = None
    precision: str | None = None
    transport: str | None = None
    on_loss: str | None = None
    max_lag: float | None = None
    give_up: float | None = None
    retention_days: int | None = None
    record: int | None = None


def build_request(video: dict[str, Any], words: RequestWords) -> dict[str, Any]:
    """Return the request body; `video` has `type` and `url` or `data`.

    Raises `RequestWordsError`.
    """
    item = dict(video)
    sampling = _sampling(words)
    if sampling is not None:
        item["sampling"] = sampling
    if words.start is not None or words.end is not None:
        bounds = {"start": words.start, "end": words.end}
        item["range"] = {k: _number(v) for k, v in bounds.items() if v is not None}
        item["range"]["unit"] = words.unit
    if words.max_frames is not None:
        item["max_frames"] = words.max_frames
    if words.stream is not None:
        item["stream"] = words.stream
    live = _live(words)
    if live:
        item["live"] = live
    body: dict[str, Any] = {"input": [item], "steps": _steps(words)}
    if words.model is not None:
        body["model"] = words.model
    if words.precision is not None:
        body["precision"] = words.precision
    return body


def parse_when(text: str) -> tuple[str, dict[str, Any]]:
    """Parse one `--when` to its step and conditions; raises `RequestWordsError`."""
    step, colon, rest = text.partition(":")
    if not colon or step not in STEPS:
        raise RequestWordsError(f"--when {text}: begins with one of {', '.join(STEPS)} and a colon")
    conditions: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(";"))):
        name, _, value = part.partition("=")
        match name:
            case "class_is":
                conditions[name] = [c.strip() for c in value.split(",") if c.strip()]
            case "min_confidence":
                try:
                    conditions[name] = float(value)
                except ValueError as exc:
                    raise RequestWordsError(f"--when {text}: {value!r} is not a number") from exc
            case _:
                raise RequestWordsError(
                    f"--when {text}: {name!r} is neither class_is nor min_confidence"
                )
    if not conditions:
        raise RequestWordsError(f"--when {text}: names no condition")
    return step, conditions


def _steps(words: RequestWords) -> list[dict[str, Any]]:
    if words.steps is not None:
        return _given_steps(words)
    steps: dict[str, dict[str, Any]] = {}
    wants_feature = words.feature or words.include_vector
    if words.detect is not None or wants_feature or not words.ocr:  # vectors are of targets
        steps["detect"] = _step("detect", _detect_parameters(words))
    if words.ocr:
        steps["ocr"] = _step("ocr", {})
    if wants_feature:
        steps["feature"] = _step(
            "feature", {"include_vector": True} if words.include_vector else {}
        )
    for text in words.when:
        name, conditions = parse_when(text)
        if name not in steps:
            raise RequestWordsError(f"--when {text}: there is no {name} step")
        steps[name]["when"] = steps[name].get("when", {}) | conditions
    return list(steps.values())


def _given_steps(words: RequestWords) -> list[dict[str, Any]]:
    others = (words.detect, words.ocr, words.feature, words.include_vector, words.when)
    if any(others) or words.threshold is not None or words.detail is not None:
        raise RequestWordsError(
            "--steps replaces --detect, --ocr, --feature, --threshold, --detail and --when"
        )
    try:
        steps = json.loads(words.steps or "")
    except ValueError as exc:
        raise RequestWordsError(f"--steps is not JSON: {exc}") from exc
    if not isinstance(steps, list):
        raise RequestWordsError("--steps must be a JSON list of steps")
    return steps


def _detect_parameters(words: RequestWords) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    names = [name.strip() for text in words.detect or () for name in text.split(",")]
    classes = list(dict.fromkeys(filter(None, names)))
    if classes and ALL_CLASSES not in classes:
        parameters["classes"] = classes
    if words.threshold is not None:
        parameters["threshold"] = _number(words.threshold)
    if words.detail is not None:
        parameters["detail"] = words.detail
    return parameters


def _step(model: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"model": model, "parameters": parameters} if parameters else {"model": model}


def _sampling(words: RequestWords) -> dict[str, Any] | None:
    ways: list[dict[str, Any]] = []
    if words.fps is not None:
        ways.append({"mode": "fps", "value": _number(words.fps)})
    if words.interval is not None:
        ways.append({"mode": "interval", "value": words.interval})
    if words.keyframes:
        ways.append({"mode": "keyframe"})
    if len(ways) > 1:
        raise RequestWordsError("--fps, --interval and --keyframes exclude each other")
    return ways[0] if ways else None


def _live(words: RequestWords) -> dict[str, Any]:
    """Return the options of a live source that were given."""
    times_s = {"max_lag_s": words.max_lag, "give_up_s": words.give_up}
    given: dict[str, Any] = {"transport": words.transport, "on_loss": words.on_loss}
    given["retention_days"] = words.retention_days
    given["record"] = None if words.record is None else {"retention_s": words.record}
    given |= {name: None if value is None else _number(value) for name, value in times_s.items()}
    return {name: value for name, value in given.items() if value is not None}


def _number(value: float) -> float:
    """Return a whole number as an int, so that the JSON has no `.0`.

    Raises `RequestWordsError`: JSON has neither infinity nor NaN.
    """
    if not math.isfinite(value):
        raise RequestWordsError(f"{value} is not a finite number")
    return int(value) if value == int(value) else value
