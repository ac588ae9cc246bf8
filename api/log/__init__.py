"""The reading side of a task's log: replay from S3, tail from Kafka, one byte string.

`hub`, `segments`, `cursor` and `negotiate` are state machines and pure functions: no clock, no
socket, no Kafka. `consumer`, `cache` and `reader` drive them.
"""
