"""The api's Kafka clients: producer, global table of compacted topics, consumer lag."""
