"""Tests of comparisons of tasks."""
