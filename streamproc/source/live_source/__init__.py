"""Live sources as frames: decoded in the sandbox, newest first; and commands that look at them."""
