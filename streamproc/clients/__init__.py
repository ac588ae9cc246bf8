"""Clients of Kafka, S3 and ClickHouse, configured alike in every process."""
