"""The HTTP server below the application: limits of connections, request heads and bodies."""
