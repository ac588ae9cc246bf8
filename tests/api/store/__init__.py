"""Tests of api.store."""
