"""streamproc"""
