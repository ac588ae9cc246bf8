"""The terminal client: commands, the embedded stack, the console. Speaks HTTP to the api alone."""
