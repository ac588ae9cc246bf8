"""Fixtures of all suites: the real engines, started once a session, when a test asks for them."""

pytest_plugins = ["tests.brokers", "tests.engines"]
