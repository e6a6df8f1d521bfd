"""The backends: adapters, which translate without IO, and what makes their HTTP calls."""
