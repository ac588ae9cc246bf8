"""Errors of the broker package.

BrokerError
├── JarsUnavailableError   the jars cannot be resolved, or are not the pinned ones
└── TopicPolicyError       a topic exists that is not as it must be
"""

from streamproc.errors import BrokerError


class JarsUnavailableError(BrokerError):
    """Apache Kafka's jars are not to be had on this machine now."""
