"""What stands between a socket and the application: limits of connections, heads and bodies."""
