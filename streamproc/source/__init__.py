"""Video source: guarded fetching, sandboxed decoding and exact sampling of frames."""
