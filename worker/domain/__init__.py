"""The rules: what a cancellation is, what may be concluded from what was seen, and what to do next. PURE.

Time, randomness and IO come in as arguments. Wire formats, Redis and configuration live in other rooms.
"""
