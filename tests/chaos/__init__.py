"""Workers and Redis are killed under load; the simulator's truth judges what became of each job."""
