"""HTTP routes: thin, each calls one function that a test can call."""
