"""A nursery whose children keep all they have: what `benchmarks.sandbox` compares with."""

from streamproc.source import nursery
from streamproc.source.sandbox import walls


def _only_die_with(parent_pid: int) -> bool:
    walls.die_with(parent_pid)
    return False


def _keep_all(_max_pixels: int, _cpu_s: int) -> list[str]:
    return []


if __name__ == "__main__":
    walls.isolate = _only_die_with
    walls.lock_down = _keep_all
    nursery.main()
