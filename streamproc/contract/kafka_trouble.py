"""What librdkafka's errors mean, in a sentence that names the setting."""

from streamproc.contract import env

_LOGIN = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})


def kafka_trouble(name: str, text: str) -> str | None:
    """Return what the error of this name (`KafkaError.name()`) and text means for all clients.

    None: nothing more than that a broker does not answer just now. No sentence holds an address, a
    user's name or a password.
    """
    if name in _LOGIN:
        if "mechanism" in text.lower():
            return (
                f"Kafka does not offer this kind of login: sasl.mechanism in {env.KAFKA_OPTIONS}."
            )
        return (
            "Kafka refuses the login: sasl.username or sasl.password in"
            f" {env.KAFKA_OPTIONS} is wrong."
        )
    if name == "_SSL":
        return (
            "Kafka's certificate is not trusted, or it speaks no TLS: ssl.ca.location and"
            f" security.protocol in {env.KAFKA_OPTIONS}."
        )
    if name == "_RESOLVE":
        return f"The host of Kafka has no address: {env.KAFKA}."
    return None
