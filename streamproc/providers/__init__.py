"""streamproc.providers"""
