"""The published schemas: files that `make schemas` writes from the code."""
