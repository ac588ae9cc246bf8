"""Terminal client: command line, embedded stack and console (TUI). Uses the api over HTTP only."""
