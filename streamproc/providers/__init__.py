"""Providers that compute a task: this machine's models, or another Video API."""
