"""The index: a consumer group that writes tasks, tracks and embeddings to ClickHouse."""
