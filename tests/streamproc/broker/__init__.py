"""Tests of streamproc.broker."""
