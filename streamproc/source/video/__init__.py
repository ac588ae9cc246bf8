"""Demuxing, decoding, seeking and sampling with PyAV: bytes to frames. Runs in the sandbox."""
