"""streamproc.contract"""
