"""`reindex` rebuilds the tables from S3; `verify` compares them with S3."""
