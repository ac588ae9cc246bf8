"""The operator console, over a real local HTTP server with recorded answers."""
