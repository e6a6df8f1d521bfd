"""Attest that a job's process is gone, which its force step waits for.

Some jobs of Oracle ESS stay in CANCELLING for good. Canceller may force them after 30 minutes, but only if somebody
says that the remote process no longer runs. Until then the force step is held.
"""

from __future__ import annotations

import sys

from worker.client import Cancellation, Client, Event, Result


def stop(job_id: str, operator: str) -> Result:
    """Stop a job whose force step needs an operator's word."""
    with Client.from_env() as client:
        sent = client.cancel("ess", job_id, reason="over budget", requested_by="billing")
        held = wait_until_held(client, sent)
        conditions = {name: one for name, one in held.data["gate"].items() if name != "earliest_at"}
        missing = [name for name, condition in conditions.items() if condition["met"] is not True]
        print(f"{job_id} can't be forced yet, for lack of: {', '.join(missing)}")

        # Check for yourself first: you are giving your word, and the events name you.
        client.attest(sent.command_id, by=operator, reason="no such process on any host")
        return sent.wait(timeout=60)


def wait_until_held(client: Client, sent: Cancellation) -> Event:
    """Return the event that says why a force step is held."""
    return next(
        event for event in client.events() if event.name == "force_held" and sent.command_id in event.command_ids
    )


if __name__ == "__main__":
    print(stop(sys.argv[1], operator=sys.argv[2]).outcome)
