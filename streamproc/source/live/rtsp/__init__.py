"""RTSP 1.0 client (RFC 2326) without I/O: messages, authentication, SDP, requests."""
