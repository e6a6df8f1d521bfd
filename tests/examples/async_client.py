"""Cancel jobs in asyncio and wait for all of them at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing

from worker.client import AsyncClient, Result


async def stop(client: AsyncClient, job_id: str) -> Result:
    """Stop a job and wait for its end; after a minute raise StillOpen, while the cancellation goes on."""
    sent = await client.cancel("ess", job_id, reason="over budget", requested_by="billing")
    return await sent.wait(timeout=60)


async def stop_all(job_ids: Sequence[str]) -> dict[str, str]:
    """Stop jobs; return the outcome of each."""
    async with aclosing(AsyncClient.from_env()) as client:
        results = await asyncio.gather(*(stop(client, job_id) for job_id in job_ids))
    return {job_id: result.outcome for job_id, result in zip(job_ids, results, strict=True)}


if __name__ == "__main__":
    print(asyncio.run(stop_all(sys.argv[1:])))
