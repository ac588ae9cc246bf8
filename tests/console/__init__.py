"""tests.console"""
