"""compose.yaml as data, its variables filled in as docker compose would."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from streamproc.contract import env

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
GPU = ROOT / "deploy" / "compose.gpu.yaml"
CAMERAS = ROOT / "deploy" / "compose.cameras.yaml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


def variables(text: str) -> dict[str, str | None]:
    """Return every variable that the text substitutes, with its default; None: it must be set."""
    return {
        found["name"]: found["text"] if found["kind"] == "-" else None
        for found in _VARIABLE.finditer(text)
    }


def services(environ: Mapping[str, str], path: Path = COMPOSE) -> dict[str, dict[str, Any]]:
    """Return the services by name. Raises KeyError when a variable without a default is not set."""

    def fill(found: re.Match[str]) -> str:
        value = environ.get(found["name"], "")
        if value or found["kind"] != "?":
            return value or found["text"] or ""
        raise KeyError(found["name"])

    document = yaml.safe_load(_VARIABLE.sub(fill, path.read_text()))
    found: dict[str, dict[str, Any]] = document["services"]
    return found


def example() -> dict[str, str]:
    """Return deploy/.env.example with every empty value made up, as its comments say."""
    lines = (ROOT / "deploy" / ".env.example").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    made = {
        env.SECRET_KEY: "bWFkZS11cC1mb3ItdGhlLXRlc3RzLW9mLTMyLWJ5dGU=",
        env.PRIVATE_HOSTS: "10.1.0.0/16:443,camera.internal",
        env.SOURCE_PORTS: "8443,9000-9010",
    }
    return {name: value or made.get(name, f"made-up-{name.lower()}") for name, value in pairs}


def properties(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
