"""The backends: adapters that translate, and the one module that calls."""
