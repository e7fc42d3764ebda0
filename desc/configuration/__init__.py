"""Settings as frozen dataclasses, checked when they are made.

The name of a field is the keyword of the library, the option of the command line
(`--window_size`), the key of the W&B config and the field of the notebooks. The classes are in
one file per stage; `fields` has what they share.
"""

from desc.configuration.fields import (
    as_tuples,
    check,
    check_choice,
    check_integer,
    check_jobs,
    check_number,
    check_type,
    from_dict,
    option,
    to_dict,
)
from desc.configuration.live import MODES, LiveConfig
from desc.configuration.matching import (
    DISTANCES,
    INDEXED_DISTANCES,
    INDEXES,
    MAX_HOLD_S,
    SELECTIONS,
    STYLES,
    SUBTYPES,
    UNITS,
    MasterConfig,
    QueryConfig,
    RenderConfig,
    SelectionConfig,
)
from desc.configuration.prediction import SAMPLINGS, PredictConfig, Sampling, SamplingConfig
from desc.configuration.training import (
    HEADS,
    MONITORS,
    STRATEGIES,
    HardwareConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
)

__all__ = [
    "DISTANCES",
    "HEADS",
    "INDEXED_DISTANCES",
    "INDEXES",
    "MAX_HOLD_S",
    "MODES",
    "MONITORS",
    "SAMPLINGS",
    "SELECTIONS",
    "STRATEGIES",
    "STYLES",
    "SUBTYPES",
    "UNITS",
    "HardwareConfig",
    "LiveConfig",
    "MasterConfig",
    "ModelConfig",
    "PredictConfig",
    "QueryConfig",
    "RenderConfig",
    "RunConfig",
    "Sampling",
    "SamplingConfig",
    "SelectionConfig",
    "TrainConfig",
    "as_tuples",
    "check",
    "check_choice",
    "check_integer",
    "check_jobs",
    "check_number",
    "check_type",
    "from_dict",
    "option",
    "to_dict",
]
