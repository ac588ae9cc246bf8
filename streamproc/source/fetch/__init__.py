"""Bytes of a source: guarded HTTP, local files, our own object store; bounded in size and time."""
