"""RTMP (Adobe Real-Time Messaging Protocol 1.0): messages and the client as sans-IO."""
