"""A video as frames: guarded fetching, sandboxed decoding, exact sampling."""
