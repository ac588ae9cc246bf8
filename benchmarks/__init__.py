"""Figures that the documentation names: each module prints its own, as a ratio or a score."""
