"""Clients of others, and our own, each reading a task that a real worker computes."""
