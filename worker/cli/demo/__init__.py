"""`demo`: real Redis, real workers, simulated backends, every outcome, on this machine."""
