"""`reindex` and `verify`: the tables made again from S3, and compared with it."""
