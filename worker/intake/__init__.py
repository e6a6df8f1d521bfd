"""From a broker message to an accepted cancellation: take, decode, admit, deliver.

Nothing here calls a backend.
"""
