"""Shared by the benchmarks: a cell, a sender, meters, tables."""
