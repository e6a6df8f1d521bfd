"""Kills workers and Redis under load, and judges by the simulator's truth what became of each job."""
