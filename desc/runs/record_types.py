"""`RunRecord` and `SoundRecord`: what is known about a run of either kind."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from desc.configuration import ModelConfig, TrainConfig, from_dict, to_dict
from desc.descriptors.config import DescriptorConfig
from desc.errors import CheckpointError
from desc.files import replacing
from desc.runs.record import DESCRIPTORS, RUN_FILE, STATISTICS_FILE, Record, read_run_file


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """A trained sequence model of descriptors.

    Beside the files of every run, its folder holds `statistics.npz` (arrays, see `save_arrays`).
    """

    kind: ClassVar[str] = DESCRIPTORS

    descriptor_config: DescriptorConfig
    model_config: ModelConfig
    train_config: TrainConfig

    @property
    def model_name(self) -> str:
        """Name of the sequence model."""
        return self.model_config.selected_model

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Settings of the descriptors, the model and the training."""
        return {
            "descriptor_config": to_dict(self.descriptor_config),
            "model_config": to_dict(self.model_config),
            "train_config": to_dict(self.train_config),
        }

    @classmethod
    def read_configs(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Undo `configs`."""
        return {
            "descriptor_config": from_dict(DescriptorConfig, content["descriptor_config"]),
            "model_config": from_dict(ModelConfig, content["model_config"]),
            "train_config": from_dict(TrainConfig, content["train_config"]),
        }

    def save_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Write arrays of any shape and plain type to `statistics.npz`, at once."""
        path = self.folder / STATISTICS_FILE
        for name, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise CheckpointError(f"{path}: array {name} must hold plain numbers")
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    def load_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of `statistics.npz`, read-only; nothing is unpickled.

        Raises
        ------
        CheckpointError
            If the file is missing or damaged.
        """
        path = self.folder / STATISTICS_FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, AttributeError) as e:
            raise CheckpointError(f"{path}: cannot be read: {e}") from e
        for array in arrays.values():
            array.flags.writeable = False
        return arrays


@dataclass(frozen=True, kw_only=True)
class SoundRecord(Record):
    """A trained network of sound generation: a vocoder, or a generator of mel spectrograms.

    Attributes
    ----------
    generator : str
        What was trained: melgan, vocos or unagan.
    mel_config, model_config, train_config : dict
        Its settings as plain values; `desc.soundgen` knows their classes.
    """

    kind: ClassVar[str] = "sound"

    generator: str
    mel_config: dict[str, Any]
    model_config: dict[str, Any]
    train_config: dict[str, Any]

    @property
    def model_name(self) -> str:
        """What was trained."""
        return self.generator

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Settings of the mel spectrogram, the network and the training."""
        return {
            "network": {"generator": self.generator},
            "mel_config": self.mel_config,
            "model_config": self.model_config,
            "train_config": self.train_config,
        }

    @classmethod
    def read_configs(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Undo `configs`."""
        groups = ("mel_config", "model_config", "train_config")
        return {"generator": content["network"]["generator"]} | {g: content[g] for g in groups}


RECORD_TYPES: dict[str, type[Record]] = {r.kind: r for r in (RunRecord, SoundRecord)}


def load_record(folder: Path) -> Record:
    """Read the record of a run of any kind.

    Raises
    ------
    CheckpointError
        As `Record.load`.
    """
    kind = read_run_file(folder / RUN_FILE).get("kind", RunRecord.kind)
    return RECORD_TYPES.get(kind, RunRecord).load(folder)
