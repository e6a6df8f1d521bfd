"""The benchmark `pending`."""
