"""Going on with a run: its own settings, its own recordings, from its last checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from desc.descriptors.config import DescriptorConfig
from desc.errors import CheckpointError, ConfigurationError
from desc.models.base import DescriptorModel
from desc.models.checkpoint import load_model, read_checkpoint
from desc.runs import RunRecord
from desc.training.lightning_module import STATE_KEY
from desc.training.split import Split
from desc.training.state import TrainingState

NAMED = 5  # recordings named in an error


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The last state of a run, read once."""

    path: Path
    model: DescriptorModel
    state: TrainingState

    @classmethod
    def of(cls, record: RunRecord) -> Checkpoint | None:
        """Read the last checkpoint of a run; None where it was ended before it wrote one.

        Raises
        ------
        CheckpointError
            If the checkpoint is damaged or holds no training state.
        """
        path = record.folder / "checkpoints" / "last.ckpt"
        if not path.exists():
            return None
        content = read_checkpoint(path)
        if STATE_KEY not in content:
            raise CheckpointError(f"{path}: holds a model but no state of a training to go on from")
        model = load_model(path)
        return cls(path, model.train(), TrainingState.from_dict(content[STATE_KEY]))


def check_recordings(record: RunRecord, config: DescriptorConfig, split: Split) -> None:
    """Refuse to go on with other recordings or descriptors than a run was started with.

    Raises
    ------
    ConfigurationError
        If descriptors or recordings differ; the message says which.
    """
    differing = [
        f"{field.name}={getattr(config, field.name)!r} "
        f"(the run has {getattr(record.descriptor_config, field.name)!r})"
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(record.descriptor_config, field.name)
    ]
    if differing:
        raise ConfigurationError(
            f"run {record.run_id} was started with other descriptors: {', '.join(differing)}"
        )
    sides = zip(
        ("training", "validation"),
        split.files,
        (record.training_files, record.validation_files),
        strict=True,
    )
    for side, here, there in sides:
        new = [source for digest, source in here.items() if digest not in there]
        missing = [source for digest, source in there.items() if digest not in here]
        if new or missing:
            raise ConfigurationError(
                f"run {record.run_id} was started with other {side} recordings"
                + _listed("; new", new)
                + _listed("; missing", missing)
            )


def _listed(what: str, sources: list[str]) -> str:
    if not sources:
        return ""
    more = f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
    return f"{what}: {', '.join(sorted(sources)[:NAMED])}{more}"
