"""Tests of streamproc.embedded_kafka."""
