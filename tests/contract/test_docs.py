"""The documents speak of what exists: links, settings with their defaults, paths, topics."""

import ast
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.settings import MIB, Settings
from console.cli.main import COMMANDS
from console.config.reader import read_config
from console.tui.keys import without_conflicts
from console.tui.known_names import KNOWN
from streamproc.clients.kafka import KafkaSettings
from streamproc.contract import env
from streamproc.contract.providers import load_providers
from streamproc.contract.topics import DAY_MS, DEFAULT_PARTITIONS, POLICIES
from streamproc.settings import WorkerSettings
from streamproc.source.live.named_sources import load_sources
from tests.contract.documented import ROOT, fenced

PACKAGES = ("api", "console", "models", "streamproc")
CONFIGURATION = ROOT / "docs" / "configuration.md"
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(p for folder in ("docs", "examples", "models") for p in ROOT.glob(f"{folder}/**/*.md")),
    ]
)
FOREIGN = {"models/nanodet.json", "models/nanodet.bin"}  # files of another package
_NAME = re.compile(r"\bFRAMEWIRE_[A-Z0-9_]+\b")
_NOT_OURS = {
    *(".git", ".venv", ".venv-audit", ".venv-docs"),
    *("__pycache__", "node_modules", "dist", "site"),
}


def document_ids(path: object) -> str:
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else str(path)


def literals(path: Path) -> Iterator[str]:
    """Yield the file's string constants: f-strings and comments are not among them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@functools.cache
def variables_in(*folders: str) -> set[str]:
    """Return the variables that code names as a whole string."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    named = [path for path in files if _NAME.search(path.read_text())]  # all would take a second
    return {text for path in named for text in literals(path) if _NAME.fullmatch(text)}


def variables_of_deployment() -> set[str]:
    files = [ROOT / "compose.yaml", ROOT / "Dockerfile", *(ROOT / "deploy").rglob("*")]
    texts = [path.read_text() for path in files if path.is_file() and path.suffix != ".pyc"]
    return {name for text in texts for name in _NAME.findall(text)}


def slug(heading: str) -> str:
    """Return a heading's anchor as the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(path: Path) -> str:
    """Return the document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def settings_rows() -> dict[str, str]:
    """Return each variable of configuration.md with what its default column says."""
    rows = {}
    for line in CONFIGURATION.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == 3:
            rows.update(dict.fromkeys(re.findall(r"`([A-Z0-9_]+)`", cells[0]), cells[1]))
    return rows


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_ids)
def test_every_link_leads_somewhere(document: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        path = (document.parent / place).resolve() if place else document
        if not path.is_relative_to(ROOT) or not path.exists():
            lost.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            lost += [target] if anchor not in map(slug, headings) else []
    assert lost == []


def test_configuration_names_every_variable_that_code_reads() -> None:
    read = variables_in(*PACKAGES)
    assert {env.KAFKA, env.URL, "FRAMEWIRE_RING_BYTES"} <= read
    assert read - set(settings_rows()) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_ids)
def test_a_document_names_no_variable_that_does_not_exist(document: Path) -> None:
    known = variables_in(*PACKAGES, "tests", "benchmarks") | variables_of_deployment()
    assert set(_NAME.findall(document.read_text())) - known == set()


def test_the_defaults_of_configuration_are_those_of_the_code() -> None:
    rows = settings_rows()
    api = Settings(kafka="", clickhouse="")
    worker = WorkerSettings(worker_id="", kafka=KafkaSettings(""))
    expected = {
        env.PARTITIONS: f"`{DEFAULT_PARTITIONS}`",
        env.S3_BUCKET: f"`{api.s3.bucket}`",
        env.S3_REGION: f"`{api.s3.region}`",
        env.HOST: f"`{api.host}`",
        env.PORT: f"`{api.port}`",
        env.LOG: f"`{api.log}`",
        "FRAMEWIRE_MAX_BODY_BYTES": f"{api.max_body_bytes // MIB} MiB",
        "FRAMEWIRE_MAX_UPLOAD_BYTES": f"{api.max_upload_bytes // MIB} MiB",
        "FRAMEWIRE_RING_BYTES": f"{api.ring_bytes // MIB} MiB",
        "FRAMEWIRE_CACHE_BYTES": f"{api.cache_bytes // MIB} MiB",
        "FRAMEWIRE_SEND_DEADLINE_S": f"`{api.send_deadline_s:g}`",
        env.DEVICE: f"`{worker.device}`",
        env.PRECISION: f"`{worker.precision}`",
        env.SLOTS: f"`{worker.slots}`",
        env.SLICE_S: f"`{worker.slice_s:g}`",
        env.SESSION_TIMEOUT_S: f"`{worker.session_timeout_s:g}`",
        env.MAX_SOURCE_BYTES: f"{worker.source.max_source_bytes >> 30} GiB",
    }
    assert {name: rows[name] for name in expected} == expected


def test_the_provider_list_of_configuration_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(fenced("docs/configuration.md", "toml", "[[provider]]"))
    assert [provider.name for provider in load_providers(path)] == ["local", "cloud"]


def test_the_source_list_of_configuration_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(fenced("docs/configuration.md", "toml", "[[source]]"))
    (source,) = load_sources(path).values()
    assert (source.name, source.projects) == ("gate", ("shop",))


def test_the_topics_of_the_architecture_are_those_that_are_made() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = dict(re.findall(r"^\| `(video\.\w+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE))
    assert set(rows) == {policy.name for policy in POLICIES}
    for policy in POLICIES:
        days = int(policy.config.get("retention.ms", 0)) // DAY_MS
        words = ["compacted"] if "compact" in policy.config["cleanup.policy"] else []
        words.append("for ever" if not days else f"{days} day{'s' * (days > 1)}")
        assert rows[policy.name] == ", ".join(words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_ids)
def test_paths_and_commands_in_a_document_exist(document: Path) -> None:
    quoted = re.findall(r"`([^`\n]+)`", prose(document))
    starts = tuple(f"{folder}/" for folder in (*PACKAGES, "tests", "docs", "benchmarks", "deploy"))
    paths = [text.split(":")[0] for text in quoted if text.startswith(starts)]
    lost = [path for path in set(paths) - FOREIGN if not list(ROOT.glob(path.rstrip("/")))]
    words = [text.split()[1] for text in quoted if re.match(r"framewire [a-z]", text)]
    assert lost == []
    assert [word for word in words if word not in COMMANDS] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    hosts = ("pypi.org/simple", "pythonhosted.org", "registry.npmjs", "repo1.maven", "maven.apache")
    places = ("/home/", "/root/", "/work/")
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _NOT_OURS and "_cache" not in name]
        folders[:] = [name for name in folders if name not in {".hypothesis", ".framewire"}]
        for path in (
            Path(folder) / name for name in files if name not in {".git", "snapshot_report.html"}
        ):
            data = path.read_bytes()
            if path == Path(__file__) or b"\0" in data[:8192]:
                continue
            text = data.decode(errors="replace")
            found += [f"{path}: {host}" for host in hosts if host in text]
            found += [
                f"{path}: {place}"
                for place in places
                if place in text and re.search(rf"(?<![\w.~}}$]){place}", text)
            ]
    assert found == []


def test_the_settings_of_the_console_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "console.toml"
    path.write_text(fenced("docs/console.md", "toml"))
    config = read_config(path, KNOWN)
    assert config.faults == ()
    assert (set(config.views), set(config.contexts)) == ({"gate"}, {"prod"})
    assert without_conflicts(config.keys) == (config.keys, [])
