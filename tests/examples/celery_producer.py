"""Cancel jobs from a program that uses only Celery, and imports nothing of Canceller's."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

celery_app = Celery("billing", broker="redis://localhost:6379/0")
celery_app.conf.task_routes = {"worker.*": {"queue": "commands"}}


def cancel(job_id: str, invoice: str) -> str:
    """Ask for a job to be stopped; return the command's id.

    `command_id` makes it safe to send the same command twice: the second one changes nothing.
    """
    command = {
        "backend": "ess",
        "job_id": job_id,
        "command_id": f"{invoice}:{job_id}",
        "reason": "over budget",
        "requested_by": "billing",
    }
    celery_app.send_task("worker.cancel", kwargs=command)
    return command["command_id"]


def cancel_all(job_ids: Sequence[str]) -> str:
    """Ask for up to 1,000 jobs to be stopped, in one message; the n-th command's id is `<returned id>:<n>`, from 0."""
    commands = [{"verb": "cancel", "backend": "ess", "job_id": job_id, "lane": "batch"} for job_id in job_ids]
    return str(celery_app.send_task("worker.submit", kwargs={"commands": commands}).id)
