"""What the api refuses is told in the words of the command line. The api's messages are real."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from api.contract.requests import StepRequest
from api.errors import InvalidRequestError
from api.tasks.step_parser import read_steps
from console.cli.main import run
from console.cli.request_builder import RequestWords, build_request
from console.cli.typed_words import in_typed_words, option_of, submission_word
from console.errors import ApiProblem
from models.registry import Registry
from tests.console.tui.recorded_api import Script

VIDEO = {"type": "video_url", "url": "https://example.com/a.mp4"}


def refusal(body: dict[str, Any]) -> InvalidRequestError:
    """Return what the api's own parser says about the body's steps."""
    steps = msgspec.convert(body["steps"], list[StepRequest])
    with pytest.raises(InvalidRequestError) as refused:
        read_steps(steps, Registry(None))
    return refused.value


def told(words: RequestWords) -> ApiProblem:
    """Return the error at the command line for a request that these words make."""
    body = build_request(VIDEO, words)
    refused = refusal(body)
    errors = [{"field": e["field"], "message": e["message"]} for e in refused.errors]
    problem = ApiProblem(422, refused.code, refused.detail, errors)
    return in_typed_words(
        problem,
        lambda field: submission_word(
            field, body, source="a.mp4", has_steps=words.steps is not None
        ),
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            RequestWords(detect=("pedestrain",)),
            "--detect: unknown class 'pedestrain'; did you mean 'pedestrian'?",
        ),
        (
            RequestWords(detect=("Pedestrian",)),
            "--detect: unknown class 'Pedestrian'; did you mean 'pedestrian'?",
        ),
        (
            RequestWords(detect=("all",), ocr=True, when=("ocr:class_is=automobil",)),
            "--when: no such class 'automobil'; did you mean 'automobile'?",
        ),
        (
            RequestWords(steps='[{"model": "detec"}]'),
            "--steps: [0].model: no such model 'detec'; did you mean 'detect'?",
        ),
        (
            RequestWords(ocr=True, when=("ocr:min_confidence=.5",)),
            "--when: needs targets: a detect step must come before it",
        ),
    ],
)
def test_a_wrong_step_is_told_at_its_option(words: RequestWords, message: str) -> None:
    assert told(words).detail.startswith(message)


def test_a_name_like_no_other_gets_a_short_list() -> None:
    detail = told(RequestWords(detect=("zzzzzzzz",))).detail
    assert "--detect: unknown class 'zzzzzzzz'; there are 8" in detail
    assert "framewire models list --json" in detail
    assert len(detail) < 400


def test_every_wrong_field_keeps_its_path_beside_its_option() -> None:
    words = RequestWords(detect=("bsu",), ocr=True, when=("ocr:class_is=caar",))
    assert [(e["field"], e["option"]) for e in told(words).errors] == [
        ("steps[0].parameters.classes[0]", "--detect"),
        ("steps[1].when.class_is[0]", "--when"),
    ]


@pytest.mark.parametrize(
    ("field", "body", "word"),
    [
        ("input[0].url", {}, "a.mp4"),
        ("input[0].data", {}, "a.mp4"),
        ("input[0].sampling.value", {"sampling": {"mode": "fps"}}, "--fps"),
        ("input[0].sampling.value", {"sampling": {"mode": "interval"}}, "--interval"),
        ("input[0].range.start", {}, "--start"),
        ("input[0].range.end", {}, "--end"),
        ("input[0].range", {}, "--start, --end"),
        ("input[0].max_frames", {}, "--max-frames"),
        ("input[0].stream", {}, "--stream"),
        ("input[0].live.give_up_s", {}, "--give-up"),
        ("input[0].live.record.retention_s", {}, "--record"),
        (
            "input[0].live",
            {},
            "--transport, --on-loss, --max-lag, --give-up, --retention-days, --record",
        ),
        ("model", {}, "--model"),
        ("Idempotency-Key", {}, "--idempotency-key"),
    ],
)
def test_a_field_of_the_video_is_an_option(field: str, body: dict[str, Any], word: str) -> None:
    typed = submission_word(field, {"input": [body]}, source="a.mp4", has_steps=False)
    assert typed is not None
    assert typed.word == word


def test_a_field_that_nothing_sets_keeps_its_name() -> None:
    problem = ApiProblem(422, "invalid_request", "x", [{"field": "metadata", "message": "bad"}])
    lost: Callable[[str], None] = lambda _field: None  # noqa: E731 - a value of that type
    assert in_typed_words(problem, lost).detail == "metadata: bad"


def test_a_query_s_field_is_the_command_s_option() -> None:
    options = ["--since", "--min-dwell", "--expires", "NAME"]
    for field, word in {
        "from": "--since",
        "min_dwell": "--min-dwell",
        "expires_at": "--expires",
        "name": "NAME",
    }.items():
        typed = option_of(field, options)
        assert typed is not None
        assert typed.word == word
    assert option_of("cursor", options) is None
    words = (option_of("q", ["[TASK] [QUERY]..."]), option_of("q", ["--query", "TASK"]))
    assert [typed and typed.word for typed in words] == ["QUERY", "--query"]


def test_a_refused_run_names_the_option_and_shows_no_path(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = refusal(build_request(VIDEO, RequestWords(detect=("pedestrain",))))
    script.refused["POST /v1/video/process"] = refused.body()
    assert run(["run", "https://example.com/a.mp4", "--detect", "pedestrain"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("framewire: --detect: unknown class 'pedestrain'; did you mean")
    assert "steps[0]" not in error
    assert len(error) < 160


def test_a_refused_query_names_the_option(
    script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = InvalidRequestError.at("from", "must be RFC 3339 with a zone")
    script.refused["GET /v1/admin/audit"] = problem.body()
    assert run(["audit", "--since", "yesterday", "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["message"] == "--since: must be RFC 3339 with a zone"
    assert error["errors"][0]["field"] == "from"


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "vt_gone"],
        ["results", "vt_gone"],
        ["stream", "vt_gone"],
        ["wait", "TASK", "vt_gone"],
        ["keys", "rotate", "vt_gone"],
        ["projects", "limit", "vt_gone", "open_tasks=1"],
    ],
)
def test_what_does_not_exist_is_named(
    script: Script, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"type": "about:blank", "title": "Not Found", "status": 404}
    problem |= {"code": "not_found", "detail": "There is no such project."}
    script.refused["PATCH /v1/admin/projects/vt_gone"] = problem
    words = [script.log_task if word == "TASK" else word for word in arguments]
    assert run(words) == 5
    error = capsys.readouterr().err
    assert re.match(r"framewire: vt_gone: There (is|are) no[a-z .]+ \(404 ", error), error
