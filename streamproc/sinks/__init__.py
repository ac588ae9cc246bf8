"""streamproc.sinks"""
