"""tests.kafka"""
