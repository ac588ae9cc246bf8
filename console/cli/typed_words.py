"""Fields of a request in the words that were typed: `steps[0].parameters.classes[0]` → `--detect`.

The api names a wrong field by its path in the body or the query. A command line has options
instead, so its errors name these. No I/O.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from console.errors import ApiProblem
from console.printable import printable
from console.similar_names import did_you_mean

_MAX_LISTED = 12  # names; a longer list hides what is wrong
_STEP = re.compile(r"\[(?P<index>\d{1,6})\]|\.?(?P<name>[^.\[\]]+)")
_LISTED = re.compile(r"(?P<what>.+); there are: (?P<names>.+)", re.DOTALL)
_OPTIONS = {
    "scopes": "--scope",
    "expires_at": "--expires",
    "overlap_s": "--overlap",
    "from": "--since",
}
"""Options that are not called like their field."""
_INPUT_OPTIONS = {
    "range.start": "--start",
    "range.end": "--end",
    "range.unit": "--unit",
    "max_frames": "--max-frames",
    "stream": "--stream",
    "live.transport": "--transport",
    "live.on_loss": "--on-loss",
    "live.max_lag_s": "--max-lag",
    "live.give_up_s": "--give-up",
    "live.retention_days": "--retention-days",
    "live.record": "--record",
    "live.record.retention_s": "--record",
    "live": "--transport, --on-loss, --max-lag, --give-up, --retention-days, --record",
}
_SAMPLING_OPTIONS = {"fps": "--fps", "interval": "--interval", "keyframe": "--keyframes"}
_STEP_OPTIONS = {"detect": "--detect", "ocr": "--ocr", "feature": "--feature"}
_PARAMETER_OPTIONS = {
    "classes": "--detect",
    "threshold": "--threshold",
    "detail": "--detail",
    "include_vector": "--include-vector",
}


class Typed(NamedTuple):
    """What was typed for a field: the option (or argument), and its value if there is one."""

    word: str
    value: str | None = None


def in_typed_words(problem: ApiProblem, typed: Callable[[str], Typed | None]) -> ApiProblem:
    """Return the problem with each field's error in terms of the command line.

    `typed` returns None for a field that no option sets; such an error keeps its field. `option`
    is added to each entry of `errors`, which keeps its `field`.
    """
    if not problem.errors or "option" in problem.errors[0]:  # none, or told already
        return problem
    errors = []
    for error in problem.errors:
        field, message = error.get("field", ""), error.get("message", "")
        found = typed(field) or Typed(field)
        errors.append(
            {"field": field, "option": found.word, "message": _shortened(message, found.value)}
        )
    first = errors[0]
    where = f"{first['option']}: " if first["option"] else ""
    return ApiProblem(problem.status, problem.code, f"{where}{first['message']}", errors)


def about(problem: ApiProblem, word: str) -> ApiProblem:
    """Return the problem with the id that it is about in front, as it was typed."""
    detail = f"{printable(word)}: {problem.detail or problem.code}"
    return ApiProblem(problem.status, problem.code, detail, problem.errors)


def option_of(field: str, options: Iterable[str]) -> Typed | None:
    """Return the one of a command's `options` that sets a top-level field of its request."""
    known = set(options)
    if field == "q":
        return Typed("--query" if "--query" in known else "QUERY")
    head = re.split(r"[.\[]", field, maxsplit=1)[0]
    for option in (f"--{head.replace('_', '-')}", _OPTIONS.get(head, ""), head.upper()):
        if option in known:
            return Typed(option)
    return None


def submission_word(
    field: str, body: Mapping[str, Any], *, source: str, has_steps: bool
) -> Typed | None:
    """Return what was typed for a field of `POST /v1/video/process`.

    `source` is the video's argument. `has_steps`: the steps were given as JSON, in `--steps`.
    """
    head, _, rest = field.partition(".")
    value = _value_at(body, field)
    shown = None if value is None or isinstance(value, list | dict) else str(value)
    if head == "input[0]":
        return _input_word(rest, body, source)
    if head.startswith("steps") and has_steps:
        return Typed(f"--steps: {field.removeprefix('steps')}".rstrip(": "), shown)
    if head.startswith("steps"):
        return _step_word(rest, _value_at(body, head), shown)
    return {
        "model": Typed("--model", shown),
        "Idempotency-Key": Typed("--idempotency-key"),
    }.get(field)


def _input_word(rest: str, body: Mapping[str, Any], source: str) -> Typed:
    if rest.startswith("sampling"):
        mode = _value_at(body, "input[0].sampling.mode")
        return Typed(_SAMPLING_OPTIONS.get(str(mode), "--fps"))
    for path, option in _INPUT_OPTIONS.items():
        if rest == path:
            return Typed(option)
    if rest == "range":
        return Typed("--start, --end")
    return Typed(printable(source))


def _step_word(rest: str, step: object, value: str | None) -> Typed | None:
    kind, _, parameter = rest.partition(".")
    if kind == "when":
        return Typed("--when", value)
    model = str(step.get("model")) if isinstance(step, dict) else ""
    name = re.split(r"[.\[]", parameter, maxsplit=1)[0]
    if kind == "parameters" and name in _PARAMETER_OPTIONS:
        return Typed(_PARAMETER_OPTIONS[name], value)
    word = _STEP_OPTIONS.get(model)
    return None if word is None else Typed(word, value)


def _shortened(message: str, value: str | None) -> str:
    """Return the message with the wrong value and a suggestion, without a long list of names."""
    listed = _LISTED.fullmatch(message)
    if listed is None:
        return message
    names = listed["names"].split(", ")
    what = listed["what"]
    if value is not None and repr(value) not in what:
        what += f" {value!r}"
    hint = "" if value is None else did_you_mean(value, names)
    if hint:
        return f"{what}{hint}"
    if len(names) <= _MAX_LISTED:
        return f"{what}; there are: {listed['names']}"
    shown = ", ".join(names[:_MAX_LISTED])
    return f"{what}; there are {len(names)}: {shown}, … (`framewire models list --json` has all)"


def _value_at(value: object, path: str) -> object:
    """Return the value at `input[0].range.end`; None if there is none."""
    for step in _STEP.finditer(path):
        if step["index"] is not None:
            index = int(step["index"])
            value = value[index] if isinstance(value, list) and index < len(value) else None
        else:
            value = value.get(step["name"]) if isinstance(value, Mapping) else None
    return value
