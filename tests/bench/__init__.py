"""Benches: not run by the test command."""
