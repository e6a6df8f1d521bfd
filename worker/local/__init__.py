"""A deployment on one machine: the embedded Redis, its data directory, the simulator, workers and their supervisor."""
