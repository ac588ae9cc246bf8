"""Tests of streamproc.worker."""
