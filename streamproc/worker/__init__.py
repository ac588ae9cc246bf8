"""The worker role: claims, slices, sessions, scheduling, and the Faust application."""
