"""The package as somebody installs it: without the server, and as a wheel."""
