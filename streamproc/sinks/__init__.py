"""Sinks of the log: the archive role writes it to S3, the index role to ClickHouse."""
