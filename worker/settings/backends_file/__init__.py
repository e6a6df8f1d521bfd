"""The backends file: its tables, validated whole, every mistake listed at once."""
