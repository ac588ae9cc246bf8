"""Errors of the embedded Kafka; only `JarsUnavailableError` is defined here.

BrokerError
├── JarsUnavailableError   the jars cannot be resolved, or differ from the pinned ones
└── TopicPolicyError       a topic exists with the wrong settings
"""

from streamproc.errors import BrokerError


class JarsUnavailableError(BrokerError):
    """Apache Kafka's jars are not available on this machine at present."""
