"""The reading side of task logs: replay from S3 and tail from Kafka, as one byte stream.

`tail_cache`, `segments`, `cursor` and `negotiation` are state machines and pure functions: no
clock, no socket, no Kafka (sans-IO). `consumer`, `block_cache` and `reader` drive them.
"""
