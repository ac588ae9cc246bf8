"""Each child of a stack is told what its role needs, and no other's secrets."""

import os
from pathlib import Path

import pytest

from console.errors import StackError
from console.stack.data_directory import DataDirectory
from console.stack.environment import SECRETS
from console.stack.plan import StackOptions, make_plan
from streamproc.contract import env
from streamproc.contract.store_settings import StoreSettings

CALLER = {
    "PATH": os.environ["PATH"],
    "HOME": "/nowhere",
    "LC_ALL": "C.UTF-8",
    "SOME_TOKEN": "of-the-caller",
    "CLOUD_KEY": "of-a-provider",
    "GATE_PASSWORD": "of-a-camera",
    "AWS_PROFILE": "of-the-caller",
    "AWS_SESSION_TOKEN": "of-the-caller",
    "https_proxy": "http://user:pw@proxy",
    "OCL_ICD_VENDORS": "/etc/OpenCL",
    "JDK_JAVA_OPTIONS": "-Xss1m",
    env.KEY: "of-the-caller",
    env.SLOTS: "7",
    env.DATA: "/elsewhere",
    env.ADMIN_KEY: "not-the-stacks",
    env.KAFKA_OPTIONS: '{"sasl.password": "x"}',
}


def told(
    tmp_path: Path, *, clickhouse: str | None = None, s3_endpoint: str | None = None
) -> dict[str, dict[str, str]]:
    """Return the environment of every child of a stack, by name."""
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    providers = tmp_path / "providers.toml"
    providers.write_text(
        '[[provider]]\nname = "cloud"\nkind = "upstream"\n'
        'url = "https://v"\nkey_env = "CLOUD_KEY"\n'
    )
    sources = tmp_path / "sources.toml"
    sources.write_text(
        '[[source]]\nname = "gate"\nurl = "rtsp://10.0.0.1/"\n'
        'user_env = "GATE_USER"\npassword_env = "GATE_PASSWORD"\n'
    )
    options = StackOptions(
        data=directory.root, clickhouse=clickhouse, s3_endpoint=s3_endpoint, sources=sources
    )
    plan = make_plan(
        options,
        directory,
        directory.secrets(),
        CALLER | {env.PROVIDERS: str(providers)},
    )
    return {spec.rules.name: dict(spec.environ) for spec in plan.specs}


@pytest.fixture
def children(tmp_path: Path) -> dict[str, dict[str, str]]:
    return told(tmp_path, clickhouse="http://framewire:pw@127.0.0.1:1/framewire")


def test_a_role_has_the_secrets_that_it_uses_and_no_others(
    children: dict[str, dict[str, str]],
) -> None:
    assert set(children) == {
        *("kafka", "seaweedfs", "bucket", "topics"),
        *("api", "archive", "index", "worker-1"),
    }
    every = frozenset().union(*SECRETS.values())
    for name, environ in children.items():
        role = name.partition("-")[0]
        assert every & set(environ) == SECRETS.get(role, frozenset()), name
        assert "of-the-caller" not in environ.values(), name
        for secret in ("CLOUD_KEY", "GATE_PASSWORD"):
            assert (secret in environ) == (role == "worker"), name
        assert environ.get(env.SOURCES, "").endswith("/sources.toml") == (role == "worker"), name
        assert ("https_proxy" in environ) == (role in {"worker", "kafka", "seaweedfs"}), name
        assert env.DATA not in environ
        assert environ["PATH"] == CALLER["PATH"]


def test_engines_have_nothing_of_ours_and_roles_the_settings_of_the_caller(
    children: dict[str, dict[str, str]],
) -> None:
    for name in ("kafka", "seaweedfs"):
        assert not [found for found in children[name] if found.startswith(("FRAMEWIRE_", "AWS_"))]
    for name in ("api", "worker-1", "archive"):
        assert children[name][env.SLOTS] == "7"
        assert children[name][env.S3_REGION] == "us-east-1"
        assert children[name][env.KAFKA].startswith("127.0.0.1:")
    assert [name for name in children if "JDK_JAVA_OPTIONS" in children[name]] == [
        "kafka",
        "seaweedfs",
    ]
    assert "OCL_ICD_VENDORS" in children["worker-1"]
    assert "OCL_ICD_VENDORS" not in children["archive"]


def test_roles_that_use_a_foreign_s3_have_all_that_its_clients_are_configured_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    given = {
        env.S3_KEY: "key",
        env.S3_SECRET: "secret",
        env.S3_SESSION_TOKEN: "token",
        env.S3_CA_BUNDLE: str(bundle),
        env.S3_DEFAULT_REGION: "eu-west-1",
        env.S3_ADDRESSING: "virtual",
    }
    for name, value in given.items():
        monkeypatch.setitem(CALLER, name, value)
    children = told(tmp_path, s3_endpoint="https://s3.example")
    for name in ("bucket", "api", "archive", "worker-1"):
        found = StoreSettings.from_environ(children[name])
        assert found.endpoint == "https://s3.example"
        assert (found.key, found.secret, found.session_token) == ("key", "secret", "token")
        assert (found.ca_bundle, found.region) == (str(bundle), "eu-west-1")
        assert found.addressing == "virtual"
        assert found.tried is (name != "bucket"), "it is tried out once for all"
    for name in ("kafka", "topics"):
        assert not [found for found in children[name] if found.startswith("AWS_")]


def test_the_stacks_own_secrets_win_over_the_callers(
    children: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    secrets = DataDirectory(tmp_path / "data").secrets()
    assert children["api"][env.ADMIN_KEY] == secrets.admin_key
    assert children["api"][env.SECRET_KEY] == secrets.secret_key
    assert children["worker-1"][env.SECRET_KEY] == secrets.secret_key


def test_the_address_of_a_kafka_in_memory_reaches_roles_once_it_is_known(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    options = StackOptions(data=directory.root, kafka="memory")
    plan = make_plan(options, directory, directory.secrets(), CALLER)
    plan.shared[env.KAFKA] = "127.0.0.1:7"
    worker = next(spec for spec in plan.specs if spec.rules.name == "worker-1")
    assert dict(worker.environ)[env.KAFKA] == "127.0.0.1:7"
    assert plan.unlocked == ("kafka", "seaweedfs")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("[[source", "sources.toml"), ('[[source]]\nname = "Gate"\nurl = "rtsp://a/"', "a name has")],
)
def test_a_file_of_sources_that_cannot_be_used_is_named(
    tmp_path: Path, text: str, problem: str
) -> None:
    directory, sources = DataDirectory(tmp_path / "data"), tmp_path / "sources.toml"
    directory.prepare()
    sources.write_text(text)
    options = StackOptions(data=directory.root, sources=sources)
    with pytest.raises(StackError, match=problem):
        make_plan(options, directory, directory.secrets(), CALLER)


def test_a_list_of_providers_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with pytest.raises(StackError, match=r"gone\.toml"):
        make_plan(
            StackOptions(data=directory.root),
            directory,
            directory.secrets(),
            CALLER | {env.PROVIDERS: str(tmp_path / "gone.toml")},
        )
