"""Programs that follow a stream, each with one library of PyPI, in an environment of their own."""
