"""Tests of console.config."""
