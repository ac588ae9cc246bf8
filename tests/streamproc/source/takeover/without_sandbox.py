"""No sandbox at all: what comes through here is what the sandbox has to hold."""

from streamproc.contract.sandbox import NETWORK_NAMESPACE
from streamproc.source.sandbox import isolation, limits
from tests.streamproc.source.takeover.runner import main


def isolate(parent_pid: int) -> isolation.Isolated:
    isolation.die_with(parent_pid)
    return isolation.Isolated(limits.Usage(), [NETWORK_NAMESPACE])


if __name__ == "__main__":
    isolation.isolate = isolate
    isolation.lock_down = lambda isolated, *_: isolated.missing
    main(forks=True)
