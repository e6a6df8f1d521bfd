"""The bench `latency`."""
