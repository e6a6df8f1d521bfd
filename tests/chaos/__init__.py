"""Kills workers and Redis under load, then judges the end of each job by the simulator's truth."""
