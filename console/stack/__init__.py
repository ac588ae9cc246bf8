"""The embedded stack: real engines and our own processes as supervised children of one process."""
