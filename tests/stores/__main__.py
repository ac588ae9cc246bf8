"""`python -m tests.stores [NAME …]`: a whole stack on each foreign S3; fails when one differs.

moto is there with the tests; the others are built by Go, and left out with a word where it is
missing.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.stores.servers import GO, Foreign, foreign_servers
from tests.stores.trial import outcome_on


def main(names: list[str]) -> int:
    """Try the stores of these names, all without one; return the exit code."""
    failed = []
    with tempfile.TemporaryDirectory(prefix="framewire-stores-") as root:
        directory = Path(root)
        say("embedded SeaweedFS, for comparison")
        (directory / "embedded").mkdir()
        expected = outcome_on(None, directory / "embedded")
        for name in names or ["moto", *GO]:
            try:
                (foreign,) = foreign_servers([name], directory / "built")
            except LookupError as exc:
                say(f"not tried: {exc}")
                continue
            started_s = time.monotonic()
            try:
                differs = differences(foreign, directory, expected)
            except Exception as exc:  # noqa: BLE001 - the edge: the others are tried all the same
                differs = [f"{type(exc).__name__}: {exc}"]
            failed += differs
            took_s = time.monotonic() - started_s
            say(f"{foreign.name} {foreign.version}: {'; '.join(differs) or 'ok'} ({took_s:.0f} s)")
    return 1 if failed else 0


def differences(foreign: Foreign, directory: Path, expected: tuple[object, ...]) -> list[str]:
    """Return what is not as on the embedded store."""
    own = directory / foreign.name
    (own / "store").mkdir(parents=True)
    with foreign.serve(own / "store") as server:
        found = outcome_on(server, own)
    fields = ("chunks", "large_chunks", "preview", "similar")
    return [
        f"{name} differ"
        for name, one, other in zip(fields, found, expected, strict=True)
        if one != other
    ]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
