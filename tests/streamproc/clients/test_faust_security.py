"""What librdkafka's options mean for Faust's consumer: mapped, or refused by name."""

import ssl
from pathlib import Path

import pytest

from streamproc.clients.faust_security import KafkaSecurity, Sasl, read_security
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.settings import read_settings
from tests.certificates import self_signed

LOGIN = {"sasl.mechanism": "PLAIN", "sasl.username": "anna", "sasl.password": "rose-bud"}


@pytest.fixture(scope="module")
def certificate(processes: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_without_options_the_connection_is_plain() -> None:
    assert read_security({}) == KafkaSecurity()


def test_what_is_no_matter_of_security_is_passed_over() -> None:
    assert read_security({"socket.timeout.ms": 5000, "client.rack": "b"}) == KafkaSecurity()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("name", ["sasl.mechanism", "sasl.mechanisms"])
def test_a_login_is_mapped(name: str, mechanism: str) -> None:
    options = {"sasl.username": "anna", "sasl.password": "rose-bud", name: mechanism}
    security = read_security({"security.protocol": "SASL_PLAINTEXT", **options})
    assert security == KafkaSecurity(sasl=Sasl(mechanism, "anna", "rose-bud"))
    assert "rose-bud" not in repr(security)


def test_tls_trusts_the_named_authority_alone(certificate: tuple[Path, Path]) -> None:
    path, key = certificate
    security = read_security(
        {
            "security.protocol": "sasl_ssl",
            "ssl.ca.location": str(path),
            "ssl.certificate.location": str(path),
            "ssl.key.location": str(key),
            **LOGIN,
        }
    )
    assert security.sasl is not None
    assert security.tls is not None
    assert security.tls.check_hostname
    assert security.tls.verify_mode is ssl.CERT_REQUIRED
    (trusted,) = security.tls.get_ca_certs()
    assert trusted["subject"] == ((("commonName", "framewire"),),)


def test_checks_are_only_left_out_by_name(certificate: tuple[Path, Path]) -> None:
    tls = {"security.protocol": "ssl", "ssl.ca.location": str(certificate[0])}
    unnamed = read_security({**tls, "ssl.endpoint.identification.algorithm": "none"}).tls
    assert unnamed is not None
    assert (unnamed.check_hostname, unnamed.verify_mode) == (False, ssl.CERT_REQUIRED)
    unverified = read_security({**tls, "enable.ssl.certificate.verification": "false"}).tls
    assert unverified is not None
    assert (unverified.check_hostname, unverified.verify_mode) == (False, ssl.CERT_NONE)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sasl.oauthbearer.config": "x"}, "sasl.oauthbearer.config"),
        ({"ssl.ca.pem": "-----BEGIN"}, "ssl.ca.pem"),
        ({"bootstrap.servers": "other:9092"}, "bootstrap.servers"),
        ({"security.protocol": "tls"}, "security.protocol"),
        ({"security.protocol": "sasl_plaintext"}, "sasl.mechanisms"),
        (
            {"security.protocol": "sasl_plaintext", **LOGIN, "sasl.mechanism": "GSSAPI"},
            "sasl.mechanism",
        ),
        (
            {"security.protocol": "sasl_plaintext", **LOGIN, "sasl.password": ""},
            "sasl.password",
        ),
        ({"security.protocol": "ssl", "ssl.ca.location": "/nowhere/rose"}, "ssl.ca.location"),
        (
            {"security.protocol": "ssl", "ssl.certificate.location": "/nowhere/rose"},
            "ssl.certificate.location",
        ),
        (
            {"security.protocol": "ssl", "enable.ssl.certificate.verification": "rose"},
            "enable.ssl.certificate.verification",
        ),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(options: dict[str, str], named: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_security(options)
    assert str(caught.value).startswith(named)
    assert "rose" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"ssl.engine.id": "dynamic"}'])
def test_the_settings_name_the_variable(text: str) -> None:
    with pytest.raises(SettingError, match=env.KAFKA_OPTIONS):
        read_settings({env.KAFKA: "127.0.0.1:9092", env.KAFKA_OPTIONS: text})
