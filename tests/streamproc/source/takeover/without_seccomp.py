"""The sandbox on a kernel that filters no system calls: what Landlock and limits hold alone."""

import errno

from streamproc.source.sandbox import seccomp
from tests.streamproc.source.takeover.runner import main


def _refused() -> None:
    raise OSError(errno.ENOSYS, "seccomp")


if __name__ == "__main__":
    seccomp.restrict = _refused
    main()
