"""What crosses the wire between producers and us: commands, events, Celery's envelope, signatures. PURE.

No Redis, no broker, no rule about when to call a backend.
"""
