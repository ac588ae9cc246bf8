"""The command line `framewire`: commands, their output, and the requests that they build."""
