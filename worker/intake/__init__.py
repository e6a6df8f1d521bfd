"""From a broker message to an accepted cancellation: take, decode, admit, store, acknowledge.

Nothing here calls a backend, and of the engine it knows only `handler.Engine`.
"""
