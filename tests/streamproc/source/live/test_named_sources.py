"""The file of named sources: what it takes, what it refuses, and that it shows no secret."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.setting_error import SettingError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.named_sources import MAX_FILE_BYTES, load_sources

GATE = """
[[source]]
name = "gate"
url = "rtsp://192.168.40.17/h264?token=secret7"
user_env = "GATE_USER"
password_env = "GATE_PASSWORD"
projects = ["shop"]
"""
YARD = """
[[source]]
name = "yard-2"
url = "rtsps://[fd00::7]:8322/live"
ca = "/etc/cameras.pem"
transport = "udp"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sources.toml"
    path.write_text(text)
    return path


def test_sources_by_name(tmp_path: Path) -> None:
    found = load_sources(written(tmp_path, GATE + YARD))
    assert list(found) == ["gate", "yard-2"]
    gate, yard = found["gate"], found["yard-2"]
    assert gate.allows("shop")
    assert not gate.allows("other")
    assert yard.allows("other")
    assert (gate.transport, yard.transport) == ("tcp", "udp")
    assert gate.missing_variables({"GATE_USER": ""}) == ("GATE_PASSWORD",)
    login = gate.credentials({"GATE_USER": "u", "GATE_PASSWORD": "p"})
    assert login == ("u", "p")
    assert yard.credentials({}) is None
    assert load_sources(None) == {}


def test_only_its_own_host_and_port_may_be_private(tmp_path: Path) -> None:
    found = load_sources(written(tmp_path, GATE + YARD))
    general = FetchPolicy(allowed_private_hosts=PrivateHosts("10.1.0.0/16:80"))
    gate = found["gate"].policy(general).allowed_private_hosts
    assert gate.allows("192.168.40.17", 554, ["192.168.40.17"])
    assert not gate.allows("192.168.40.17", 555, ["192.168.40.17"])
    assert not gate.allows("192.168.40.18", 554, ["192.168.40.18"])
    assert gate.allows("10.1.2.3", 80, ["10.1.2.3"])
    yard = found["yard-2"].policy(general)
    assert yard.allowed_private_hosts.allows("fd00::7", 8322, ["fd00::7"])
    assert yard.ca_file == "/etc/cameras.pem"
    assert not general.allowed_private_hosts.allows("fd00::7", 8322, ["fd00::7"])


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    gate = load_sources(written(tmp_path, GATE))["gate"]
    with pytest.raises(SettingError, match="source gate: GATE_USER and GATE_PASSWORD is not set"):
        gate.credentials({})
    with pytest.raises(SettingError, match="has a newline") as caught:
        gate.credentials({"GATE_USER": "u", "GATE_PASSWORD": "secret7\n"})
    assert "secret7" not in str(caught.value)
    assert "secret7" not in repr(gate)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[source]]\nname = "Gate"\nurl = "rtsp://a/"', "entry 1: a name has"),
        (f'[[source]]\nname = "{"a" * 64}"\nurl = "rtsp://a/"', "entry 1: a name has"),
        ('[[source]]\nname = "a"\nurl = "http://secret7/"', "a: the scheme must be rtsp or rtsps"),
        ('[[source]]\nname = "a"\nurl = "rtsp://u:secret7@a/"', "credentials belong in variables"),
        ('[[source]]\nname = "a"\nurl = "rtsp://a/"\npassword_env = "P"', "password_env needs"),
        ('[[source]]\nname = "a"\nurl = "rtsp://a/"\nuser_env = "secret7!"', "names of variables"),
        ('[[source]]\nname = "a"\nurl = "rtsp://a/"\npassword = "secret7"', "password"),
        ('[[source]]\nname = "a"\nurl = "rtsp://a/"\ntransport = "sctp"', "transport"),
        (GATE + GATE, "entry 2: the name gate is taken"),
        ("[[source]", "sources.toml"),
        ("#" * (MAX_FILE_BYTES + 1), f"over {MAX_FILE_BYTES} bytes"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingError, match=r"sources.toml: ") as caught:
        load_sources(written(tmp_path, text))
    assert problem in str(caught.value)
    assert "secret7" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"gone.toml: No such file"):
        load_sources(tmp_path / "gone.toml")


@given(st.sampled_from(["10.0.0.1", "cam.local", "fd00::1"]), st.integers(1, 65535))
def test_a_list_plus_a_host_allows_that_and_leaves_the_list_alone(host: str, port: int) -> None:
    general = PrivateHosts("nas.local")
    more = general.plus(host, port)
    address = host if host != "cam.local" else "10.9.9.9"
    assert more.allows(host, port, [address])
    assert more.may_allow(port)
    assert more.allows("nas.local", port, ["10.0.0.2"])
    assert not more.allows(host, port % 65535 + 1, [address])
    assert not general.allows(host, port, [address])
