"""Tests of api.contract."""
