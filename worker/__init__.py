"""Canceller: makes sure that jobs on remote systems really stop."""
