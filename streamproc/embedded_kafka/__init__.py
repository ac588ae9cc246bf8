"""Embedded Apache Kafka: its jars, its data directory and its process."""
