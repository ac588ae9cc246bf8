"""Decoder processes: fork server, isolation, shared-memory frame pool and IPC messages."""
