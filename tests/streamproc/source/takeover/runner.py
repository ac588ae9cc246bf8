"""Runs the attempts in a child's place: one after the other, or each in a process of its own."""

import errno
import json
import mmap
import os
import socket
from pathlib import Path

from streamproc.contract.sandbox import Sandbox
from streamproc.source.sandbox import decoder, fork_server, ipc
from tests.streamproc.source.takeover import escapes
from tests.streamproc.source.takeover.attempt import Attempt, Outside

CAME_THROUGH = 0
LISTED = escapes.attempt.attempts


def main(*, forks: bool = False) -> None:
    """Be a nursery whose children run attempts.

    `forks`: without a sandbox an attempt that comes through must not spoil the next one.
    """

    def carry_out(
        order: ipc.Order,
        sandbox: Sandbox,
        file: decoder.LocalFile | None,
        control: socket.socket,
        served: socket.socket,
        memory: mmap.mmap,
    ) -> ipc.FromChild:
        assert file is not None
        asked = json.loads(file.read(65536))
        if asked["names"] == ["x32"]:
            escapes.call_by_another_convention()
        outside = Outside(**asked["outside"])
        wanted = [a for a in LISTED if a.name in set(asked["names"])]
        run = _forked if forks else _run
        found: dict[str, int | str] = {}
        for attempt in wanted:
            if forks:
                Path(outside.path).write_text("secret")
            found[attempt.name] = run(attempt, outside)
        return ipc.Failed("takeover", json.dumps(found))

    decoder._carry_out = carry_out
    fork_server.main()


def _run(attempt: Attempt, outside: Outside) -> int | str:
    """Return the error's number, `CAME_THROUGH` when there was none."""
    try:
        attempt.run(outside)
    except OSError as exc:
        return exc.errno or str(exc)
    except Exception as exc:  # noqa: BLE001 - a fault of the attempt's, which fails the test
        return repr(exc)
    return CAME_THROUGH


def _forked(attempt: Attempt, outside: Outside) -> int | str:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        found = _run(attempt, outside)
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 1000)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    if said:
        told: int | str = json.loads(said)
        return told
    return CAME_THROUGH if status == 0 else errno.EFAULT
