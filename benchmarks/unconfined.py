"""A nursery whose children keep all they have: what `benchmarks.sandbox` compares with."""

from streamproc.contract.sandbox import NETWORK_NAMESPACE
from streamproc.source import nursery
from streamproc.source.sandbox import limits, walls


def _only_die_with(parent_pid: int) -> walls.Isolated:
    walls.die_with(parent_pid)
    return walls.Isolated(limits.Usage(), [NETWORK_NAMESPACE])


def _keep_all(isolated: walls.Isolated, _max_pixels: int, _cpu_s: int) -> list[str]:
    isolated.usage.close()
    return isolated.missing


if __name__ == "__main__":
    walls.isolate = _only_die_with
    walls.lock_down = _keep_all
    nursery.main()
