"""The reading side of a task's log: replay from S3, tail from Kafka, one byte string.

`tail_cache`, `segments`, `cursor` and `negotiation` are state machines and pure functions: no
clock, no socket, no Kafka. `consumer`, `block_cache` and `reader` drive them.
"""
