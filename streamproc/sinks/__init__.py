"""What carries the log on: the archive to S3 and the index to ClickHouse."""
