"""Break videos and decode them: `python -m tests.fuzz [--runs N] [--seed S] [--only NUMBER]`.

Files that come to no clean outcome are written to `tests/fuzz/corpus`, from where `pytest
tests/fuzz` reads them for ever. Exit code 1: there are such files.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from streamproc.source.sandbox import decoder_client
from tests.fuzz import seeds
from tests.fuzz.campaign import Campaign

CORPUS = Path(__file__).parent / "corpus"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the file of this number alone")
    args = parser.parse_args()
    numbers = range(args.runs) if args.only is None else range(args.only, args.only + 1)
    good = seeds.make()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="framewire-fuzz-") as folder:
        campaign = Campaign(Path(folder))
        campaign.run(good, numbers, args.seed)
    decoder_client.end_fork_server()
    print(f"{len(numbers)} files of {len(good)} seeds in {time.monotonic() - started:.0f} s")
    for outcome, n in campaign.outcomes.most_common():
        print(f"{n:7} {outcome}")
    print(f"slowest: {campaign.slowest_s:.1f} s")
    for finding in campaign.findings:
        print(f"{finding.kind}: {finding.message} ({finding.name or 'all together'})")
        if finding.content:
            CORPUS.mkdir(exist_ok=True)
            (CORPUS / f"{finding.kind}-{finding.name}").write_bytes(finding.content)
    return 1 if campaign.findings else 0


if __name__ == "__main__":
    sys.exit(main())
