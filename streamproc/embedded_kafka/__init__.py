"""The embedded Apache Kafka: its jars, its directory, its process."""
