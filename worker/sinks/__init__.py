"""Events that leave Redis: delivers them to the sinks of the backends file, at least once and in order.

No rule of when to call a backend lives here, and nothing that a sink answers changes a cancellation.
"""
