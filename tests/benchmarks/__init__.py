"""Tests of what the benchmarks say and of the clips they make: the figures have no test."""
