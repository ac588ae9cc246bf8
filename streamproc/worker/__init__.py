"""The worker: claims, slices, sessions, scheduling; the Faust application at its edge."""
