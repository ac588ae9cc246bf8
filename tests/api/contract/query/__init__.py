"""Tests of api.contract.query."""
