"""The application's side of Pegbox: settings that change while the application runs.

Light: the standard library and prometheus-client. The adapters for aiohttp, SQLAlchemy and redis-py live in
modules of their own (`http_pool`, `database_pool`, `redis_pool`), which import their library; import the
ones you use.
"""

from pegbox.live.bounded_queue import ResizableQueue
from pegbox.live.document import RejectedLoad, RejectReason, SettingsDocument, parse, values_hash
from pegbox.live.knobs import Knob, Values, boolean, decimal, duration, integer, quantity, text
from pegbox.live.limiter import Resizable
from pegbox.live.metrics import Gauge, TaskMetrics, WorkloadMetrics
from pegbox.live.settings import LiveSettings, SettingsSource
from pegbox.live.workers import WorkerGroup

__all__ = [
    "Gauge",
    "Knob",
    "LiveSettings",
    "RejectReason",
    "RejectedLoad",
    "Resizable",
    "ResizableQueue",
    "SettingsDocument",
    "SettingsSource",
    "TaskMetrics",
    "Values",
    "WorkerGroup",
    "WorkloadMetrics",
    "boolean",
    "decimal",
    "duration",
    "integer",
    "parse",
    "quantity",
    "text",
    "values_hash",
]
