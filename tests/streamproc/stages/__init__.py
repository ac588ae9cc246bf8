"""Tests of streamproc.stages."""
