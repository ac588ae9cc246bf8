"""api.contract"""
