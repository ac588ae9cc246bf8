"""No sandbox at all: what comes through here is what the sandbox has to hold."""

from streamproc.contract.sandbox import NETWORK_NAMESPACE
from streamproc.source.sandbox import limits, walls
from tests.streamproc.source.takeover.runner import main


def isolate(parent_pid: int) -> walls.Isolated:
    walls.die_with(parent_pid)
    return walls.Isolated(limits.Usage(), [NETWORK_NAMESPACE])


if __name__ == "__main__":
    walls.isolate = isolate
    walls.lock_down = lambda isolated, *_: isolated.missing
    main(forks=True)
