"""A nursery whose children keep all they have: what `benchmarks.sandbox` compares with."""

from streamproc.contract.sandbox import NETWORK_NAMESPACE
from streamproc.source.sandbox import fork_server, isolation, limits


def _only_die_with(parent_pid: int) -> isolation.Isolated:
    isolation.die_with(parent_pid)
    return isolation.Isolated(limits.Usage(), [NETWORK_NAMESPACE])


def _keep_all(isolated: isolation.Isolated, max_pixels: int, cpu_s: int) -> list[str]:  # noqa: ARG001 - as in its place
    isolated.usage.close()
    return isolated.missing


if __name__ == "__main__":
    isolation.isolate = _only_die_with
    isolation.lock_down = _keep_all
    fork_server.main()
