"""The embedded Apache Kafka: its jars, its directory, its process; and the topics on any Kafka."""
