"""`make audit`: a bill of materials, and what the advisory databases say of it.

    python -m tests.audit BIN [SBOM]    BIN is the folder of pip-audit's and cyclonedx-py's commands

The bill (CycloneDX, reproducible) has the image's packages with their hashes and the jars of the
embedded Apache Kafka. A database that cannot be reached, or knows nothing of a package, is said:
"no fault is known" is a different thing. The exit code is 1 when a fault is known.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "deploy" / "server.lock"
JARS = ROOT / "streamproc" / "embedded_kafka" / "kafka.lock.toml"
SERVICES = ("pypi", "osv")
_TIMEOUT_S = 600


def main(tools: Path, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    bill = make_bill(tools)
    target.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n")
    print(f"{target}: {len(bill['components'])} components")
    found = False
    for service in SERVICES:
        report = audit(tools, service)
        found = found or bool(report and faults(report))
        print(summary(service, report))
    return int(found)


def make_bill(tools: Path) -> dict[str, Any]:
    """Return the CycloneDX document of the image's lock and Kafka's jars."""
    command = [str(tools / "cyclonedx-py"), "requirements", "--output-reproducible"]
    done = subprocess.run(
        [*command, "--pyproject", str(ROOT / "pyproject.toml"), str(LOCK)],
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_S,
    )
    bill: dict[str, Any] = json.loads(done.stdout)
    bill["components"] += jars(tomllib.loads(JARS.read_text())["dependencies"])
    return bill


def jars(locked: Iterable[dict[str, str]]) -> list[dict[str, Any]]:
    """Return Kafka's jars as components."""
    return [
        {
            "type": "library",
            "bom-ref": f"maven:{jar['groupId']}:{jar['artifactId']}",
            "group": jar["groupId"],
            "name": jar["artifactId"],
            "version": jar["version"],
            "purl": f"pkg:maven/{jar['groupId']}/{jar['artifactId']}@{jar['version']}",
            "hashes": [{"alg": "SHA-256", "content": jar["sha256"]}],
        }
        for jar in locked
    ]


def audit(tools: Path, service: str) -> dict[str, Any] | None:
    """Return pip-audit's report by one database, None when that could not be asked."""
    command = [str(tools / "pip-audit"), "--disable-pip", "--require-hashes", "--format", "json"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off", "-s", service, "-r", str(LOCK)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        return None
    return report


def faults(report: dict[str, Any]) -> list[str]:
    """Return the faults that are known, as `package version id`."""
    return [
        f"{package['name']} {package['version']} {fault['id']}"
        for package in report["dependencies"]
        for fault in package.get("vulns", ())
    ]


def summary(service: str, report: dict[str, Any] | None) -> str:
    """Return what a database said, and of how many packages it said nothing."""
    if report is None:
        return f"{service}: not audited, the database could not be reached"
    packages = report["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        return f"{service}: not audited, the database answers for none of {len(packages)} packages"
    lines = faults(report) or ["no fault is known"]
    return f"{service}: {len(known)} of {len(packages)} packages audited\n  " + "\n  ".join(lines)


if __name__ == "__main__":
    own = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "dist" / "framewire.cdx.json"
    sys.exit(main(Path(sys.argv[1]).resolve(), own))
