"""The sandbox in a container."""

from tests.streamproc.source.takeover import ordinary_user
from tests.streamproc.source.takeover.runner import main

if __name__ == "__main__":
    ordinary_user.become()
    main()
