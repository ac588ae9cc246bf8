"""The `framewire` command line: commands, their output, and the requests that they build."""
