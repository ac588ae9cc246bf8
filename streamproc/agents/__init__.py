"""streamproc.agents"""
