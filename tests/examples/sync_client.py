"""Cancel a job from plain code and wait until it has really stopped."""

from __future__ import annotations

import sys

from worker.client import Client, StillOpen


def stop(job_id: str) -> str:
    """Stop a job; return what became of it, in a sentence."""
    with Client.from_env() as client:  # REDIS_URL says where
        sent = client.cancel("ess", job_id, reason="over budget", requested_by="billing")
        try:
            result = sent.wait(timeout=60)
        except StillOpen:
            # Only the wait is over; the cancellation goes on. `client.wait(sent.command_id)` waits for it again.
            return f"{job_id} is still being cancelled, see {sent.command_id}"
    rerun = "may" if result.safe_to_rerun else "must not"
    return f"{job_id} has ended as {result.outcome}; it {rerun} be started again"


if __name__ == "__main__":
    print(stop(sys.argv[1]))
