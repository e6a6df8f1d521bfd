"""The same work on what else people use; each program stands alone."""
