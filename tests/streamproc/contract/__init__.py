"""Tests of streamproc.contract."""
