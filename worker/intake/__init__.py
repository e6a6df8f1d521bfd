"""From a broker message to an accepted cancellation: take, decode, admit, store, acknowledge.

Nothing here calls a backend. All that it knows of the engine are the functions `handler.Accept` and `handler.Wake`.
"""
