"""Cancel many jobs in a few messages and count how they ended."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from worker.client import Client, Rejected


def stop_all(job_ids: Sequence[str], batch_id: str) -> Counter[str]:
    """Stop jobs; return how many had each outcome.

    Commands in the lane `batch` never delay those that people wait for. Every event of these jobs has the `batch_id`.
    """
    shared = {"verb": "cancel", "backend": "ess", "lane": "batch", "batch_id": batch_id, "reason": "nightly clean-up"}
    outcomes: Counter[str] = Counter()
    with Client.from_env() as client:
        for sent in client.submit_many([{**shared, "job_id": job_id} for job_id in job_ids]):
            try:
                outcomes[sent.wait(timeout=600).outcome] += 1
            except Rejected:
                outcomes["rejected"] += 1
    return outcomes


if __name__ == "__main__":
    print(stop_all(sys.stdin.read().split(), batch_id="nightly"))
