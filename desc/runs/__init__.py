"""Runs: run id ↔ local folder ↔ W&B.

`RunLog` writes a run, `resolve_run` finds one, and a `RunRecord` (`SoundRecord` for networks of
sound generation) holds its settings and results. Only the process `wandb_worker` imports wandb, so
no server, key or setting of W&B can slow, silence or stop the program.
"""

from desc.runs.label import write_label
from desc.runs.log import RunLog
from desc.runs.metrics_file import MetricsFile, read_metrics
from desc.runs.record import SAMPLES, Record, RunRecord, SoundRecord, versions
from desc.runs.resolve import delete_run, list_runs, resolve_record, resolve_run
from desc.runs.wandb_sync import upload_run

__all__ = [
    "SAMPLES",
    "MetricsFile",
    "Record",
    "RunLog",
    "RunRecord",
    "SoundRecord",
    "delete_run",
    "list_runs",
    "read_metrics",
    "resolve_record",
    "resolve_run",
    "upload_run",
    "versions",
    "write_label",
]
