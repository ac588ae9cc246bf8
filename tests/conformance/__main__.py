"""`python -m tests.conformance`: run the npm suite against a stack of its own, print the counts.

Needs Node 20 and npm. Fails when a test fails, or when fewer pass than docs/conformance.md says.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn

from api.settings import CACHE_BYTES, RING_BYTES
from tests.conformance.backend import Backend
from tests.conformance.mount import Mount
from tests.ports import die_with_parent

NPM = Path(__file__).parent / "npm"
SKIPPED = ("Fork - ", "TTL ", "HEAD Metadata Edge Cases", "Reserved subscription APIs")
MIN_PASSED = 200
# So little memory that most reads go back to S3: the oracle shall see the seam too.
SMALL_MEMORY = {RING_BYTES: "65536", CACHE_BYTES: "262144"}


def main() -> int:
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("npm is needed (Node 20): the suite is an npm package\n")
        return 2
    install(npm)
    with tempfile.TemporaryDirectory(prefix="framewire-conformance-") as directory:
        report = Path(directory) / "report.json"
        with running_stack(Path(directory) / "data") as stack:
            asyncio.run(run(stack, report, sys.argv[1:]))
        return show(json.loads(report.read_text()))


def install(npm: str) -> None:
    """Install the suite as the lock pins it, unless it is there."""
    done = NPM / "node_modules" / ".package-lock.json"
    lock = NPM / "package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=NPM, check=True)
    done.touch()


@contextmanager
def running_stack(data: Path) -> Iterator[dict[str, Any]]:
    """Start `framewire up` without a worker; yield what its `--json` line says."""
    command = [sys.executable, "-m", "console", "up", "--json", "--workers", "0"]
    process = subprocess.Popen(
        [*command, "--data", str(data)],
        stdout=subprocess.PIPE,
        env=os.environ | SMALL_MEMORY,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs yet
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the stack did not start")
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


async def run(stack: dict[str, Any], report: Path, options: list[str]) -> None:
    """Serve the mount and run the suite against it; vitest writes its results to `report`."""
    backend = Backend(stack["url"], stack["key"], stack["project"], stack["kafka"])
    listener = socket.create_server(("127.0.0.1", 0))
    # A connection must not be closed at the moment at which the suite uses it again.
    config = uvicorn.Config(
        Mount(backend), log_level="warning", lifespan="off", timeout_keep_alive=300
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    port = listener.getsockname()[1]
    try:
        suite = await asyncio.create_subprocess_exec(
            str(NPM / "node_modules" / ".bin" / "vitest"),
            "run",
            "--testTimeout=30000",
            f"--testNamePattern=^(?!{'|'.join(SKIPPED)})",
            "--reporter=default",
            "--reporter=json",
            f"--outputFile.json={report}",
            *options,
            cwd=NPM,
            env=os.environ | {"CONFORMANCE_URL": f"http://127.0.0.1:{port}", "CI": "1"},
        )
        await suite.wait()
    finally:
        server.should_exit = True
        await serving
        await backend.aclose()


def show(report: dict[str, Any]) -> int:
    """Print the counts by group; return the exit code."""
    groups: dict[str, Counter[str]] = {}
    for file in report["testResults"]:
        for test in file["assertionResults"]:
            group = groups.setdefault(test["ancestorTitles"][0], Counter())
            group["skipped" if test["status"] not in {"passed", "failed"} else test["status"]] += 1
    total: Counter[str] = sum(groups.values(), Counter())
    lines = [f"\n{'group':<44}{'passed':>8}{'failed':>8}{'skipped':>8}"]
    for name, counts in [*groups.items(), ("all", total)]:
        numbers = "".join(f"{counts[kind]:>8}" for kind in ("passed", "failed", "skipped"))
        lines.append(f"{name:<44}{numbers}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if total["failed"] or total["passed"] < MIN_PASSED else 0


if __name__ == "__main__":
    sys.exit(main())
