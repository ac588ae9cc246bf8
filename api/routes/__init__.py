"""HTTP routes. They are thin: each calls one function that a test can call directly."""
