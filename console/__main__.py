"""Entry point of `framewire`, also `python -m console`."""

import sys

from console.cli.main import run


def main() -> None:
    """Run the command line and exit with one of `console.exit_codes`."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
