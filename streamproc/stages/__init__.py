"""streamproc.stages"""
