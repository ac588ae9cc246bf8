"""Tests of streamproc.agents."""
