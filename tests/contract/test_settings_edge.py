"""Settings are read where a process starts: nothing deeper looks at the environment."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENTRY_POINTS = {
    "api/__main__.py",
    "streamproc/clients/bucket_setup.py",
    "streamproc/embedded_kafka/commands.py",
    "streamproc/preview.py",
    "streamproc/sinks/archive/consumer.py",
    "streamproc/sinks/index/consumer.py",
    "streamproc/sinks/maintenance/reindex.py",
    "streamproc/sinks/maintenance/verify.py",
    "streamproc/source/live_source/commands.py",
    "streamproc/worker/process.py",
}
NO_SETTINGS = {
    "api/tasks/line_child.py": "what a child inherits, which reads it itself",
    "streamproc/embedded_kafka/jars.py": "where this user's caches are",
}


def reads_environ(source: str) -> bool:
    if not re.search("environ|getenv", source):  # to parse all takes a second
        return False
    tree = ast.parse(source)
    return any(
        (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(tree)
    ) or any(
        isinstance(node, ast.ImportFrom)
        and node.module == "os"
        and {"environ", "getenv"} & {alias.name for alias in node.names}
        for node in ast.walk(tree)
    )


def test_only_entry_points_read_the_environment() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("api", "models", "streamproc")
        for path in (ROOT / package).rglob("*.py")
        if reads_environ(path.read_text())
    }
    assert found == ENTRY_POINTS | NO_SETTINGS.keys()


def test_a_reading_is_seen_however_it_is_written() -> None:
    assert reads_environ("import os\ndef f(): return os.environ['A']")
    assert reads_environ("import os\nx = os.getenv('A')")
    assert reads_environ("from os import environ")
    assert not reads_environ("def f(environ): return environ['A']")
