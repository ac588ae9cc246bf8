"""A program for tests: runs two real children under a `ChildrenLoop` and tells what happens.

`python family.py DIRECTORY`; prints one JSON line per event. Each child has a grandchild.
"""

import json
import os
import sys
from pathlib import Path

from console.stack.child_process import ChildSpec
from console.stack.probes import writes
from console.stack.supervisor import Rules
from console.stack.supervisor_loop import ChildrenLoop

CHILD = """
import os, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("last words of", os.getpid(), flush=True)
open(sys.argv[1], "w").write(f"{os.getpid()} {grandchild.pid}")
time.sleep(600)
"""


def tell(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Teller:
    def child_ready(self, name: str, after_s: float) -> None:
        tell(ready=name, after_s=after_s)

    def child_died(self, name: str, code: int, restart_s: float | None, log: list[str]) -> None:
        tell(died=name, code=code, restart_s=restart_s, log=log)

    def stopping(self) -> None:
        tell(stopping=True)


def main() -> None:
    directory = Path(sys.argv[1])
    specs = []
    for name, after in (("first", ()), ("second", ("first",))):
        ready_file = directory / f"{name}.ready"
        specs.append(
            ChildSpec(
                rules=Rules(name, after=after, stop_rank=len(after)),
                command=[sys.executable, "-c", CHILD, str(ready_file)],
                environ=os.environ,
                probe=writes(ready_file),
                ready_file=ready_file,
            )
        )
    loop = ChildrenLoop(specs, directory, directory, Teller())
    failure = loop.run(lambda: tell(up=loop.pids))
    tell(ended=None if failure is None else failure.name)


if __name__ == "__main__":
    main()
