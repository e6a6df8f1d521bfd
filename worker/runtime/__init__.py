"""The composition root: one worker process, how it starts and ends and who listens to it.

Also what is asked outside of a worker: a deployment's totals, and one look at a job.
"""
