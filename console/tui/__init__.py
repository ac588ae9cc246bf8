"""Operator console: a terminal user interface (Textual) on top of the client."""
