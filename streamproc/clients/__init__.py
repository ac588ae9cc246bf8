"""Clients of Kafka, S3 and ClickHouse, with the same configuration in every process."""
