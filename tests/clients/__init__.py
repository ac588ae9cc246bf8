"""Clients of others, and our own.

`test_clients` has each of a few read a task that a real worker computes. `python -m tests.clients`
drives many libraries of npm, PyPI and Go, and the examples of docs/clients.md, through a proxy with
faults: `faults` draws them from a seed, `proxy` does them, `served` writes the logs, `trial` runs
one client, `events` compares what it delivered, `report` says what differs from `libraries.toml`.
"""
