"""A container."""

from streamproc.source import nursery
from tests.streamproc.source.takeover import ordinary_user

if __name__ == "__main__":
    ordinary_user.become()
    nursery.main()
