"""The benchmark `latency`."""
