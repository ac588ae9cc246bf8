"""Fetching a source: guarded HTTP, local files, own object store; bounded in size and time."""
