"""From an HTTP answer to a value or an `ApiProblem`."""

from typing import TypeVar, cast

import msgspec

from api.contract.resources import Problem
from console.client.calls import Call
from console.errors import ApiProblem, ConsoleError

T = TypeVar("T")


def read_answer(call: Call[T], status: int, body: bytes) -> T:
    """Return the call's answer.

    Raises `ApiProblem` for a status of 300 and more, `ConsoleError` for a body that is no answer.
    """
    if status >= 300:
        raise read_problem(status, body)
    if call.answer is type(None):
        return None
    if call.answer is bytes:
        return cast("T", body)
    try:
        return msgspec.json.decode(body, type=call.answer)
    except msgspec.DecodeError as exc:
        raise ConsoleError(
            f"{call.method} {call.path} answered what this client cannot read"
        ) from exc


def read_problem(status: int, body: bytes) -> ApiProblem:
    """Return the problem; a body that is none (a proxy's page) becomes a problem of its status."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        return ApiProblem(status, "http_error", f"the server answered {status}")
    errors = problem.errors if isinstance(problem.errors, list) else []
    return ApiProblem(problem.status, problem.code, problem.detail, errors)
