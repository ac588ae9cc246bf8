"""From data to styled lines and pictures: pure functions, no widget and no I/O."""
