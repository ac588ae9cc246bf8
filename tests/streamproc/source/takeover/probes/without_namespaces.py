"""A container."""

from streamproc.source.sandbox import fork_server
from tests.streamproc.source.takeover import ordinary_user

if __name__ == "__main__":
    ordinary_user.become()
    fork_server.main()
