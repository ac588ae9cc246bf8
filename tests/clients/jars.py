"""The jars of the libraries for Java: resolved by coordinates, checked against `jars.toml`."""

import hashlib
import tomllib
from pathlib import Path

_LIST = Path(__file__).parent / "java" / "jars.toml"


def class_path(cache: Path) -> str:
    """Return the class path of all jars, which `cache` holds from now on.

    Raises RuntimeError when one of them is missing or another one than was pinned.
    """
    listed = tomllib.loads(_LIST.read_text())
    folder = _resolve(listed["coordinates"], cache)
    found = {
        jar.name: hashlib.sha256(jar.read_bytes()).hexdigest()
        for part in ("jars", "modules")
        for jar in (folder / part).glob("*.jar")
    }
    if found != listed["sha256"]:
        wrong = sorted(dict(found.items() ^ listed["sha256"].items()))
        raise RuntimeError(f"not what jars.toml pins: {', '.join(wrong)}")
    return f"{folder}/jars/*:{folder}/modules/*"


def _resolve(coordinates: list[str], cache: Path) -> Path:
    from jgo.env import EnvironmentBuilder
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=cache / "repository", local_repos=[])
    return Path(EnvironmentBuilder(context, cache).from_endpoint("+".join(coordinates)).path)
