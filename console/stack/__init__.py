"""Embedded stack: engines and Framewire processes as supervised children of one process."""
