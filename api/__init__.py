"""The HTTP API: routes, project keys, task submission, and the reading side of the log."""
