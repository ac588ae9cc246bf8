"""The sandbox as it is."""

from tests.streamproc.source.takeover.runner import main

if __name__ == "__main__":
    main()
