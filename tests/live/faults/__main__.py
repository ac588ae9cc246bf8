"""`python -m tests.live.faults NAME...`: see the package."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from console.printable import echo
from tests.live.faults import access, changes, deaths, endings, outages, pressure
from tests.live.faults.figures import Figure
from tests.live.faults.rig import Rig, rig


class Fault(NamedTuple):
    """What to run on a stack with so many workers, which have computed something before."""

    run: Callable[[Rig, argparse.Namespace], list[Figure]]
    n_workers: int = 1
    is_cold: bool = False


FAULTS = {
    "first": Fault(pressure.first, is_cold=True),
    "latency": Fault(pressure.latency),
    "cameras": Fault(pressure.cameras),
    "kill": Fault(outages.kill),
    "stall": Fault(outages.stall),
    "hold": Fault(outages.hold),
    "killworker": Fault(deaths.killworker, 2),
    "killapi": Fault(deaths.killapi, 2),
    "killkafka": Fault(deaths.killkafka, 2),
    "overload": Fault(pressure.overload),
    "wrap": Fault(changes.wrap),
    "jump": Fault(changes.jump),
    "reset": Fault(changes.reset),
    "resize": Fault(changes.resize),
    "h265": Fault(changes.h265),
    "discontinuity": Fault(changes.discontinuity),
    "hls": Fault(changes.hls),
    "password": Fault(access.password),
    "secrets": Fault(access.secrets),
    "guard": Fault(access.guard),
    "batch": Fault(pressure.batch),
    "cancel": Fault(endings.cancel),
    "loss": Fault(outages.loss),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.faults", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", choices=[*FAULTS, "all"],
                        help=", ".join(FAULTS))  # fmt: skip
    parser.add_argument("--away", type=float, default=20.0, help="kill: seconds without the camera")
    parser.add_argument("--seconds", type=float, help="of what is measured for some time")
    options = parser.parse_args()
    names = [*FAULTS] if "all" in options.names else options.names
    n_missed = 0
    for n_workers in sorted({FAULTS[name].n_workers for name in names}):
        with rig(n_workers) as stack:
            here = [name for name in names if FAULTS[name].n_workers == n_workers]
            for name in sorted(here, key=lambda name: not FAULTS[name].is_cold):
                if not (FAULTS[name].is_cold or stack.is_warm):
                    stack.warm()
                n_missed += run(name, stack, options)
    return 1 if n_missed else 0


def run(name: str, stack: Rig, options: argparse.Namespace) -> int:
    """Print the figures of one fault; return how many are missed."""
    fault, begun_s = FAULTS[name], time.monotonic()
    try:
        figures = fault.run(stack, options)
    except AssertionError as exc:
        figures = [Figure("was not measured", str(exc) or "no reason", "", holds=False)]
    what = (fault.run.__doc__ or "").partition("\n")[0]
    echo(f"\n{name}: {what} ({time.monotonic() - begun_s:.0f} s)")
    for figure in figures:
        echo(f"  {figure}")
    return sum(not figure.holds for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
