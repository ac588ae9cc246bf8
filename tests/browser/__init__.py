"""A real browser reading a running task."""
