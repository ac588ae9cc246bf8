"""streamproc.source"""
