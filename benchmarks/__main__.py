"""Run every benchmark that needs no data of its own: `python -m benchmarks [CLIP]`."""

import subprocess
import sys
from pathlib import Path

from benchmarks.stack import CLIP

clip = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIP
signs = Path(__file__).parents[1] / "tests" / "data" / "text_signs.mp4"
RUNS = (
    ("benchmarks.startup",),
    ("benchmarks.latency",),
    ("benchmarks.throughput", str(clip)),
    ("benchmarks.concurrency", str(clip)),
    ("benchmarks.memory",),
    ("benchmarks.replay",),
    ("benchmarks.fanout",),
    ("benchmarks.ocr", str(signs)),
)
for module, *arguments in RUNS:
    print(f"\n$ python -m {module} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)
