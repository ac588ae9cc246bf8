"""Errors of the broker package.

BrokerError
├── JarsUnavailableError   the jars cannot be resolved, or are not the pinned ones
└── TopicPolicyError       a topic exists that is not as it must be
"""


class BrokerError(Exception):
    """Base of everything that goes wrong with Kafka's set-up."""


class JarsUnavailableError(BrokerError):
    """Apache Kafka's jars are not to be had on this machine now."""


class TopicPolicyError(BrokerError):
    """A topic's partitions or policies differ from what Framewire needs."""
