"""A kernel without Landlock."""

import errno

from streamproc.source.sandbox import fork_server, landlock


def _refused() -> None:
    raise OSError(errno.ENOSYS, "landlock")


if __name__ == "__main__":
    landlock.restrict = _refused
    fork_server.main()
