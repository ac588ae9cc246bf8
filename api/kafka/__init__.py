"""The api's Kafka side: its producer, the global table of compacted topics, consumer lag."""
