"""The file of named sources: what it takes, what it refuses, and that it shows no secret."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.setting_error import SettingError
from streamproc.contract.sources_file import MAX_FILE_BYTES, login_variables
from streamproc.source.errors import SourceForbiddenError, SourceUnauthorizedError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.named_sources import Cameras, load_sources

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
        (
            '[[source]]\nname = "a"\nurl = "ftp://secret7/"',
            "a: the scheme must be rtsp, rtsps, rtmp",
        ),
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


LOGIN = {"GATE_USER": "us er", "GATE_PASSWORD": "secret7"}


def test_a_camera_is_what_its_name_means_to_the_project(tmp_path: Path) -> None:
    cameras = Cameras(load_sources(written(tmp_path, GATE + YARD)), LOGIN)
    assert cameras.names == ("gate", "yard-2")
    general = FetchPolicy()
    gate = cameras.resolve("camera:gate", "shop", general, is_udp=False)
    assert (gate.url.host, gate.credentials, gate.is_udp) == (
        "192.168.40.17",
        tuple(LOGIN.values()),
        False,
    )
    assert gate.policy.allowed_private_hosts.allows("192.168.40.17", 554, ["192.168.40.17"])
    assert cameras.resolve("camera:gate", "shop", general, is_udp=True).is_udp
    yard = cameras.resolve("CAMERA:yard-2", "anyone", general, is_udp=False)
    assert (yard.credentials, yard.is_udp) == (None, True)  # as its entry says
    for shown in (repr(cameras), repr(gate), repr(yard), str(gate)):
        assert "secret7" not in shown
        assert "h264" not in shown


def test_a_source_of_another_project_and_an_unknown_one_have_one_answer(tmp_path: Path) -> None:
    cameras, answers = Cameras(load_sources(written(tmp_path, GATE)), LOGIN), []
    for url in ("camera:gate", "camera:attic"):
        with pytest.raises(SourceForbiddenError) as refused:
            cameras.resolve(url, "other", FetchPolicy(), is_udp=False)
        answers.append(str(refused.value).replace(url.partition(":")[2], "NAME"))
        assert not refused.value.__cause__
    assert answers == ["there is no source NAME for this project"] * 2
    assert "192.168" not in answers[0]


def test_a_login_that_is_missing_fails_the_tasks_of_its_source_alone(tmp_path: Path) -> None:
    sources = load_sources(written(tmp_path, GATE + YARD))
    for environ in ({}, LOGIN | {"GATE_PASSWORD": "secret7\n"}):
        cameras = Cameras(sources, environ)
        assert cameras.resolve("camera:yard-2", "p", FetchPolicy(), is_udp=False).name == "yard-2"
        with pytest.raises(
            SourceUnauthorizedError, match="no login for the source gate"
        ) as refused:
            cameras.resolve("camera:gate", "shop", FetchPolicy(), is_udp=False)
        assert "GATE" not in str(refused.value)  # a client need not know the operator's variables


def test_a_url_has_its_own_login_and_no_exemption() -> None:
    cameras, general = Cameras({}, {}), FetchPolicy()
    plain, with_login = (
        cameras.resolve(url, "p", general, is_udp=True)
        for url in (
            "rtsp://cam.example/s?key=secret7",
            "rtsp://u:secret7@cam.example/s?key=secret7",
        )
    )
    assert (plain.credentials, with_login.credentials) == (None, ("u", "secret7"))
    assert plain.policy == with_login.policy == general
    assert plain.is_udp
    assert plain.pin == with_login.pin  # a changed password is no other source
    assert plain.pin != cameras.resolve("rtsp://cam.example/t", "p", general, is_udp=True).pin
    assert "secret7" not in repr(with_login)
    with pytest.raises(SourceForbiddenError) as refused:
        cameras.resolve("rtsp://u:secret7@[cam", "p", general, is_udp=False)
    assert "secret7" not in str(refused.value)


def test_the_variables_with_logins_are_named_once(tmp_path: Path) -> None:
    door = GATE.replace('"gate"', '"door"')
    assert login_variables(written(tmp_path, GATE + YARD + door)) == ("GATE_USER", "GATE_PASSWORD")
    assert login_variables(None) == ()
    with pytest.raises(SettingError, match="names of variables"):
        login_variables(written(tmp_path, GATE.replace("GATE_USER", "GATE USER")))


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
