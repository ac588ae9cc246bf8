"""Entry point of `framewire`, also `python -m console`."""

import sys

from console.cli.main import run


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 3 unreachable, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
