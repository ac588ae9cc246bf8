"""No sandbox at all: what comes through here is what the sandbox has to hold."""

from streamproc.source.sandbox import walls
from tests.streamproc.source.takeover.runner import main

if __name__ == "__main__":
    walls.isolate = lambda parent_pid: bool(walls.die_with(parent_pid))
    walls.lock_down = lambda *_: []
    main(forks=True)
