"""The worker's settings: every mistake names its variable."""

import os
from pathlib import Path

import pytest

from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.settings import read_settings

KAFKA = {env.KAFKA: "127.0.0.1:9092"}


def test_defaults_hold_where_the_environment_is_silent() -> None:
    settings = read_settings(KAFKA)
    assert (settings.slots, settings.slice_s, settings.device) == (4, 3.0, "AUTO:GPU,CPU")
    assert settings.source.file_roots == ()


def test_lists_are_read_apart() -> None:
    settings = read_settings(
        {
            **KAFKA,
            env.FILE_ROOTS: os.pathsep.join(["/a", "/b"]),
            env.PRIVATE_HOSTS: "nas.local, 10.0.0.1:80",
        }
    )
    assert settings.source.file_roots == (Path("/a"), Path("/b"))
    assert settings.source.private_hosts.allows("nas.local", 8080, ["192.168.0.9"])
    assert settings.source.private_hosts.allows("10.0.0.1", 80, ["10.0.0.1"])
    assert not settings.source.private_hosts.allows("10.0.0.1", 81, ["10.0.0.1"])
    assert settings.source.source_ports == {80, 443}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (env.SLOTS, "0", "at least 1"),
        (env.SLOTS, "many", "must be a number"),
        (env.LOG, "logger", "is one of debug, info, warning"),
        (env.SLICE_S, "-1", "at least 0.1"),
        (env.REQUIRE_SANDBOX, "yes", "must be 0 or 1"),
        (env.PRIVATE_HOSTS, "nas.local,nas.local:0", "entry 2 has no port"),
        (env.PRIVATE_HOSTS, "10.0.0.1/8", "entry 1 is no address"),
        (env.SOURCE_PORTS, "8080,x", "entry 2 is neither"),
        (env.OPEN_TIMEOUT_S, "0", "at least 1"),
        (env.LIVE_STALL_S, "0", "at least 0.5"),
        (env.MIN_SOURCE_RATE, "nan", "must be a number"),
        (env.MIN_FREE_BYTES, "inf", "must be a number"),
        (env.KAFKA, "", "must name the Kafka"),
    ],
)
def test_a_mistake_names_its_variable(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingError, match=f"{name}:? .*{says}"):
        read_settings({**KAFKA, name: value})


def test_secrets_do_not_show() -> None:
    assert "hush" not in repr(read_settings({**KAFKA, env.S3_SECRET: "hush"}))
