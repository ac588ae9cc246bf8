"""The operator console: a Textual application over the client."""
