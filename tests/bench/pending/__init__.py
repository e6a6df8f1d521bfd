"""The bench `pending`."""
