"""Broken videos without end, given to the decoder: `python -m tests.fuzz --runs 5000 --seed 7`."""
