"""Decoder processes: the fork server, their isolation, their shared frame pool and messages."""
