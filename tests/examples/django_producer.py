"""Cancel jobs from a Django view. Try it: `python django_producer.py runserver`."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from worker.client import BrokerUnavailable, Client, InvalidCommand

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "testserver"], SECRET_KEY="for this example only")

client = Client.from_env()
"""One per process. It connects on first use, so it may be created before gunicorn forks."""


@require_POST
def cancel(request: HttpRequest, job_id: str) -> JsonResponse:
    """Ask for a job to be stopped; answer at once."""
    try:
        sent = client.cancel("ess", job_id, reason=request.POST.get("reason"))
    except InvalidCommand as error:
        return JsonResponse({"error": str(error)}, status=422)
    except BrokerUnavailable:
        return JsonResponse({"error": "try again in a moment"}, status=503)
    return JsonResponse({"command_id": sent.command_id}, status=202)


urlpatterns = [path("jobs/<str:job_id>/cancel", cancel)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
