"""tests.streamproc.providers"""
