"""Maps librdkafka's TLS and SASL options to Faust, the only client not based on librdkafka.

All other clients use FRAMEWIRE_KAFKA_OPTIONS directly. Security options must also hold for this
client: each one is mapped or rejected, never ignored. Options of other kinds (buffers, timeouts,
names) do not apply to it.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamproc.contract.setting_error import SettingError

PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_MATTERS = ("security.", "ssl.", "sasl.", "enable.ssl.", "enable.sasl.", "https.")
_ELSEWHERE = {"bootstrap.servers", "metadata.broker.list"}
_MAPPED = {
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
}


@dataclass(frozen=True, slots=True)
class Sasl:
    """SASL credentials, and the mechanism (one of `MECHANISMS`)."""

    mechanism: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """Connection security: TLS, SASL, both or neither."""

    tls: ssl.SSLContext | None = None
    sasl: Sasl | None = None


def read_security(options: Mapping[str, Any]) -> KafkaSecurity:
    """Return the security settings that librdkafka would use with these properties.

    Raises `SettingError` for a security option that is unknown here or has an invalid
    value, or whose file cannot be read.
    """
    for name in options:
        if name in _ELSEWHERE or (name.startswith(_MATTERS) and name not in _MAPPED):
            raise SettingError(f"{name} is not supported by the worker's consumer")
    protocol = str(options.get("security.protocol", "plaintext")).lower()
    if protocol not in PROTOCOLS:
        raise SettingError(f"security.protocol is one of {', '.join(PROTOCOLS)}")
    return KafkaSecurity(
        tls=_tls(options) if protocol.endswith("ssl") else None,
        sasl=_sasl(options) if protocol.startswith("sasl") else None,
    )


def _sasl(options: Mapping[str, Any]) -> Sasl:
    name = "sasl.mechanism" if "sasl.mechanism" in options else "sasl.mechanisms"
    mechanism = str(options.get(name, "")).upper()
    if mechanism not in MECHANISMS:
        raise SettingError(f"{name} must be one of {', '.join(MECHANISMS)}")
    for needed in ("sasl.username", "sasl.password"):
        if not options.get(needed):
            raise SettingError(f"{needed} is not set")
    return Sasl(mechanism, str(options["sasl.username"]), str(options["sasl.password"]))


def _tls(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Trust only the given CAs; without any, or with `probe`: those of the system."""
    place = str(options.get("ssl.ca.location") or "probe")
    try:
        if place == "probe":
            context = ssl.create_default_context()
        elif Path(place).is_dir():
            context = ssl.create_default_context(capath=place)
        else:
            context = ssl.create_default_context(cafile=place)
    except OSError as exc:
        raise SettingError("ssl.ca.location cannot be read") from exc
    _identify(context, options)
    if _is(options, "ssl.endpoint.identification.algorithm", "none", among=("https", "none")):
        context.check_hostname = False
    if _is(options, "enable.ssl.certificate.verification", "false", among=("true", "false")):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _identify(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    """Load the client's own certificate, if it has one."""
    certificate = options.get("ssl.certificate.location")
    if not certificate:
        return
    key, password = options.get("ssl.key.location"), options.get("ssl.key.password")
    try:
        # Without a password pass an empty one: OpenSSL would prompt for it on the terminal.
        context.load_cert_chain(str(certificate), key, str(password or ""))
    except OSError as exc:
        raise SettingError(
            "ssl.certificate.location, ssl.key.location: no certificate and key to be read there"
        ) from exc


def _is(options: Mapping[str, Any], name: str, wanted: str, *, among: tuple[str, str]) -> bool:
    text = str(options.get(name, among[0])).lower()
    if text not in among:
        raise SettingError(f"{name} is one of {', '.join(among)}")
    return text == wanted
