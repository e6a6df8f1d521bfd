"""The composition root: one worker process, how it starts and ends and who listens to it; a deployment's totals."""
