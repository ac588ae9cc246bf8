"""Run of one embedded stack on one data directory: lock, plan, supervise, clean up."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Protocol

from console.errors import ConsoleError, StackError
from console.stack import bucket, kafka, seaweedfs
from console.stack.data_directory import DataDirectory, S3Access, StackState
from console.stack.default_project import open_project
from console.stack.host_accounts import other_people
from console.stack.plan import Plan, StackOptions, make_plan
from console.stack.ports import LOOPBACK
from console.stack.supervisor import GiveUp
from console.stack.supervisor_loop import ChildrenLoop, ChildReporter

_ACCESS_DEADLINE_S = 30.0
_SHOWN_PEOPLE = 3
_SPEAKING = (bucket.NAME, kafka.TOPICS)
"""One-shots whose last log line explains why a server cannot be used."""


class StackReporter(ChildReporter, Protocol):
    """Receiver of a stack's events."""

    def notice(self, text: str) -> None: ...

    def stack_ready(self, state: StackState, after_s: float) -> None: ...


def run_stack(options: StackOptions, environ: Mapping[str, str], reporter: StackReporter) -> None:
    """Run a stack until a signal; returns when no child is left. Call it in the main thread.

    Raises `StackError` if the stack cannot start or continue, `DirectoryInUseError` if another
    stack holds the directory.
    """
    directory = DataDirectory(options.data)
    with ExitStack() as cleanup:
        if directory.prepare():
            reporter.notice(f"other users could read {directory.root}: its mode is 0700 now")
        cleanup.callback(os.close, directory.lock())
        plan = make_plan(options, directory, directory.secrets(), environ)
        for name in plan.unused:
            reporter.notice(f"{name} has no effect: an embedded stack sets it itself")
        _tell_of_others(plan, reporter)
        cleanup.callback(_remove_sockets, plan)
        loop = ChildrenLoop(plan.specs, directory.root, directory.logs, reporter)
        cleanup.callback(directory.forget_running)
        problems: list[ConsoleError] = []

        def announce() -> None:
            try:
                state = _open(options, directory, plan, loop.pids)
            except ConsoleError as exc:
                problems.append(exc)
                loop.stop()
            else:
                reporter.stack_ready(state, loop.age_s)

        failure = loop.run(announce)
    if problems:
        raise StackError(
            f"the api is running, but no project key could be obtained: {problems[0]}"
        ) from problems[0]
    if failure is not None:
        raise StackError(_failure_text(failure, directory))


def _open(
    options: StackOptions, directory: DataDirectory, plan: Plan, pids: dict[str, int]
) -> StackState:
    """Ensure that the project and its key exist, and write `stores.json` and `stack.json`."""
    url = f"http://{LOOPBACK}:{plan.api_port}"
    secrets = directory.secrets()
    project, key = open_project(
        url, secrets.admin_key, secrets.project_key, deadline_s=_ACCESS_DEADLINE_S
    )
    if key != secrets.project_key:
        secrets.project_key = key
        directory.keep_secrets(secrets)
    state = StackState(
        pid=os.getpid(),
        url=url,
        key=key,
        project=project,
        admin_key=secrets.admin_key,
        kafka=plan.kafka,
        s3=S3Access.of(plan.store),
        clickhouse=plan.clickhouse,
        file_roots=[str(root.resolve()) for root in options.file_roots],
        children=pids,
    )
    directory.keep_stores(plan.stores)
    directory.keep_running(state)
    return state


def _tell_of_others(plan: Plan, reporter: StackReporter) -> None:
    people = other_people()
    if people and plan.unlocked:
        shown = ", ".join(people[:_SHOWN_PEOPLE]) + (", …" if len(people) > _SHOWN_PEOPLE else "")
        reporter.notice(
            f"other users of this machine ({shown}) can use {' and '.join(plan.unlocked)} on"
            " loopback without a login: docs/operations.md, `Other users`"
        )


def _remove_sockets(plan: Plan) -> None:
    for path in seaweedfs.sockets(plan.ports):
        path.unlink(missing_ok=True)


def _failure_text(failure: GiveUp, directory: DataDirectory) -> str:
    if failure.name == kafka.NAME and failure.code == kafka.EXIT_NO_JARS:
        return (
            "Apache Kafka's jars cannot be resolved here; "
            "`--kafka memory` runs without them, and nothing survives"
        )
    text = f"{failure.name} ended with {failure.code} and is not started again"
    if failure.name in _SPEAKING:
        last = (directory.logs / f"{failure.name}.log").read_text(errors="replace").splitlines()
        text += f": {last[-1]}" if last else ""
    return text
