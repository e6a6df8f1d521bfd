"""The same work with other tools that people use; each program is self-contained."""
