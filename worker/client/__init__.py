"""For producers: send commands, wait for their end, read events. `AsyncClient` does the same within asyncio.

Never loads the engine, the intake, adapters or a Celery app: a library is a guest in its user's process.
"""

from ..domain.errors import (
    BrokerRefused,
    BrokerUnavailable,
    CancellerError,
    InvalidCommand,
    NewerFormat,
    StoreUnavailable,
    UnknownBatch,
    UnknownCancellation,
    UnreadableRecord,
)
from ..protocol.batches import BatchCounts, BatchOptions, BatchResult, BatchState, BatchStatus
from ..protocol.messages import CommandFields, Event
from ..protocol.signing import sign
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..store.codec import Snapshot
from .async_client import AsyncCancellation, AsyncClient, Rejected, Result, StillOpen
from .batches import AsyncBatch
from .sync_batch import Batch
from .sync_client import Cancellation, Client

__all__ = [
    "AsyncBatch",
    "AsyncCancellation",
    "AsyncClient",
    "Batch",
    "BatchCounts",
    "BatchOptions",
    "BatchResult",
    "BatchState",
    "BatchStatus",
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
    "UnknownBatch",
    "UnknownCancellation",
    "UnreadableRecord",
    "sign",
]
