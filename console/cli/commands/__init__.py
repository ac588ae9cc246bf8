"""One module per group of commands, imported lazily when a command runs."""
