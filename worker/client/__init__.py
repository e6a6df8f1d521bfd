"""For producers: send commands, wait for their end, read events. `AsyncClient` does the same within asyncio.

Never loads the engine, the intake, adapters or a Celery app: a library is a guest in its user's process.
"""

from ..errors import (
    BrokerRefused,
    BrokerUnavailable,
    CancellerError,
    InvalidCommand,
    NewerFormat,
    StoreUnavailable,
    UnknownCancellation,
    UnreadableRecord,
)
from ..protocol.messages import CommandFields, Event
from ..protocol.signing import sign
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..store.codec import Snapshot
from .async_client import AsyncCancellation, AsyncClient, Rejected, Result, StillOpen
from .sync_client import Cancellation, Client

__all__ = [
    "AsyncCancellation",
    "AsyncClient",
    "BrokerRefused",
    "BrokerUnavailable",
    "Cancellation",
    "CancellerError",
    "Client",
    "CommandFields",
    "ConfigurationError",
    "Event",
    "InvalidCommand",
    "NewerFormat",
    "Rejected",
    "Result",
    "Settings",
    "Snapshot",
    "StillOpen",
    "StoreUnavailable",
    "UnknownCancellation",
    "UnreadableRecord",
    "sign",
]
