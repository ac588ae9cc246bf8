"""The archive: a consumer group that writes the log of every task to S3."""
