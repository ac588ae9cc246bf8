"""Rendering of data to styled lines and images: pure functions without widgets and I/O."""
