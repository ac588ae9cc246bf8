"""Clients of others, and our own.

`test_clients` has each of a few read a task that a real worker computes. `python -m tests.clients`
drives many libraries, and the examples of docs/clients.md, through a proxy with faults: `faults`
draws them from a seed, `proxy` does them (`messages` is its HTTP), `served` writes the logs,
`trial` runs one client, `events` compares what it delivered, `report` says what differs from
`libraries.toml`; `libraries` and `jars` install what is driven, `examples` has the document's.
"""
