"""The composition root: builds one worker process, starts and stops it, and connects its observers.

Also what is needed outside of a worker: a deployment's totals, and a single look at a job.
"""
