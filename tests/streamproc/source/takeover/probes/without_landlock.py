"""A kernel without Landlock."""

import errno

from streamproc.source import nursery
from streamproc.source.sandbox import landlock


def _refused() -> None:
    raise OSError(errno.ENOSYS, "landlock")


if __name__ == "__main__":
    landlock.restrict = _refused
    nursery.main()
