"""Nurseries of hosts that refuse a part of the sandbox; their children decode."""
