"""Reading and writing the stores: S3 objects and ClickHouse rows."""
