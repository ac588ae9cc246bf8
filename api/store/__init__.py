"""Store access: S3 objects and ClickHouse rows."""
