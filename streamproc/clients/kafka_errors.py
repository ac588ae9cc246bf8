"""Explains librdkafka's errors in a sentence that names the setting."""

from typing import NamedTuple

from streamproc.contract import env

_LOGIN = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})
_OF_TLS = ("certificate", "plaintext", "version")  # not: a broker that stops during a handshake


class KafkaTrouble(NamedTuple):
    """A sentence about an error, and whether the error is unlikely to pass by itself."""

    sentence: str
    lasting: bool


def kafka_trouble(name: str, text: str) -> KafkaTrouble | None:
    """Explain the error with this name (`KafkaError.name()`) and text, for all clients.

    None: it only means that a broker does not answer at the moment. No sentence contains an
    address, a user name or a password.
    """
    lowered = text.lower()
    if name in _LOGIN and "mechanism" in lowered:
        sentence = f"Kafka offers no such kind of login: sasl.mechanism in {env.KAFKA_OPTIONS}."
        return KafkaTrouble(sentence, lasting=True)
    if name in _LOGIN:
        return KafkaTrouble(
            "Kafka refuses the login: sasl.username or sasl.password in"
            f" {env.KAFKA_OPTIONS} is wrong.",
            lasting=True,
        )
    if name == "_SSL" and any(word in lowered for word in _OF_TLS):
        return KafkaTrouble(
            "Kafka's certificate is not trusted, or it speaks no TLS: ssl.ca.location and"
            f" security.protocol in {env.KAFKA_OPTIONS}.",
            lasting=True,
        )
    if name == "_RESOLVE":
        return KafkaTrouble(f"The host of Kafka has no address: {env.KAFKA}.", lasting=False)
    return None
