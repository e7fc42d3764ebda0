"""Runs: run id ↔ local folder ↔ W&B.

`RunLog` writes a run, `resolve_run` finds one, `RunRecord` is what is known about it (`SoundRecord`
of networks of sound generation). W&B is spoken to by a process of its own (`wandb_worker`, the only
module that imports wandb), so that no server, key or setting of W&B can slow, silence or stop what
uses this package.
"""

from desc.runs.log import RunLog
from desc.runs.metrics_file import MetricsFile, read_metrics
from desc.runs.record import SAMPLES, Record, versions
from desc.runs.record_types import RunRecord, SoundRecord
from desc.runs.resolve import list_runs, resolve_record, resolve_run
from desc.runs.sending import upload_run

__all__ = [
    "SAMPLES",
    "MetricsFile",
    "Record",
    "RunLog",
    "RunRecord",
    "SoundRecord",
    "list_runs",
    "read_metrics",
    "resolve_record",
    "resolve_run",
    "upload_run",
    "versions",
]
