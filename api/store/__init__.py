"""api.store"""
