"""Data for tests, and the makers of more."""
