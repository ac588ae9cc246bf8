"""tests.chaos"""
