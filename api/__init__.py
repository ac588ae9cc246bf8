"""The HTTP side: routes, project keys, the submission of tasks, and what reads the log."""
