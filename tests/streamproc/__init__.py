"""tests.streamproc"""
