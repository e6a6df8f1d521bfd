"""Benchmarks: not run by the test command."""
