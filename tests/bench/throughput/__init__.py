"""The bench `throughput`."""
