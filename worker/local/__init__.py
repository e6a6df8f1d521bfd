"""A deployment on one machine: the embedded Redis, its data directory, child processes."""
