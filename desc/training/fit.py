"""`train`: recordings → a run that can predict."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
import torch

from desc.configuration import ModelConfig, Note, Progress, RunConfig, TrainConfig
from desc.corpus import Corpus
from desc.errors import DescError
from desc.models import create_model, unused_options
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model
from desc.models.statistics import fit_statistics
from desc.runs import RunLog, RunRecord
from desc.training.baseline import DETERMINISTIC, fit_baseline, verdict
from desc.training.callbacks import (
    BEST,
    LAST,
    PLANNED_BEST,
    Checkpoints,
    MetricRows,
    ProgressReport,
    StepCounter,
    TrainingHook,
)
from desc.training.datamodule import RecordingsDataModule
from desc.training.ending import EARLY, INTERRUPTED, Clock, Ending
from desc.training.lightning_module import DescriptorTraining
from desc.training.resuming import Resumption, resume
from desc.training.schedule import Schedule, plan_schedule
from desc.training.split import Split, split_recordings
from desc.training.state import TrainingState, preserved_randomness
from desc.training.trainer import (
    RunLogger,
    build_trainer,
    measure_speed,
    quiet_lightning,
    run_trainer,
)
