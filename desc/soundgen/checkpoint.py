"""Checkpoints of sound generation: everything needed to generate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from desc.configuration import RunConfig, from_dict, to_dict
from desc.errors import CheckpointError
from desc.models.checkpoint_file import check_finite, read_checkpoint, reading
from desc.runs import SoundRecord, resolve_record
from desc.runs.record import RUN_FILE
from desc.soundgen.settings import (
    FlowConfig,
    MelConfig,
    MelModelConfig,
    UnaganConfig,
    VocoderConfig,
)

KEY = "desc.soundgen"
FORMAT_VERSION = 3
"""1: phases of vocos and components of the flow were described otherwise; 2: bands had no range,
and components no offset."""
MODEL_CONFIGS: dict[str, type[VocoderConfig] | type[UnaganConfig] | type[FlowConfig]] = {
    "unagan": UnaganConfig,
    "flow": FlowConfig,
}


@dataclass(frozen=True, eq=False)
class SoundCheckpoint:
    """A trained network of sound generation.

    Attributes
    ----------
    generator : str
        melgan, vocos, unagan or flow.
    mel : MelConfig
        Settings of its spectrograms.
    model : VocoderConfig, UnaganConfig or FlowConfig
        Sizes of the network.
    state : dict of str to Tensor
        Parameters of the network.
    gain : float
        Gain of the recordings in training; generated sound is divided by it.
    arrays : dict of str to Tensor
        Of a mel generator, each (n_mels,): `mean` and `scale` undo the standardisation, `lowest`
        and `highest` limit the bands. Of the flow also `basis` (n_mels, n_components), `offset` and
        `level` (n_components, 1).
    """

    generator: str
    mel: MelConfig
    model: VocoderConfig | MelModelConfig
    state: Mapping[str, Tensor]
    gain: float = 1.0
    arrays: Mapping[str, Tensor] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file: plain values and tensors under `KEY`."""
        payload = {
            "format_version": FORMAT_VERSION,
            "generator": self.generator,
            "mel_config": to_dict(self.mel),
            "model_config": to_dict(self.model),
            "state_dict": dict(self.state),
            "gain": self.gain,
            "arrays": dict(self.arrays),
        }
        return {KEY: payload}

    @classmethod
    def load(cls, path: Path) -> SoundCheckpoint:
        """Read a checkpoint of this program.

        Raises
        ------
        CheckpointError
            If it is damaged, of another program or of an unknown format version.
        """
        return cls.from_content(read_checkpoint(path), path)

    @classmethod
    def from_content(cls, content: Mapping[str, Any], path: Path) -> SoundCheckpoint:
        """Undo `to_dict`."""
        payload = content.get(KEY)
        if not isinstance(payload, dict):
            raise CheckpointError(f"{path}: no checkpoint of sound generation")
        version = payload.get("format_version")
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: a checkpoint of format version {version}; this program reads version "
                f"{FORMAT_VERSION}"
            )
        with reading(path):
            kind = MODEL_CONFIGS.get(payload["generator"], VocoderConfig)
            state, arrays = (dict(payload[name]) for name in ("state_dict", "arrays"))
            if not all(isinstance(x, Tensor) for x in (*state.values(), *arrays.values())):
                raise TypeError("its parameters and arrays must be tensors")
            check_finite(state)
            return cls(
                generator=str(payload["generator"]),
                mel=from_dict(MelConfig, payload["mel_config"]),
                model=from_dict(kind, payload["model_config"]),
                state=state,
                gain=float(payload["gain"]),
                arrays=arrays,
            )


def find_checkpoint(run_id: str, run: RunConfig) -> tuple[Path, str]:
    """Return the checkpoint of a run id, of a run's folder or at a path, and its name.

    Raises
    ------
    RunNotFoundError
        If the run is not found.
    """
    path = Path(run_id).expanduser()
    if path.is_file() and path.name != RUN_FILE:
        return path, path.stem
    record = resolve_record(SoundRecord, run_id, run)
    return record.checkpoint(), record.run_id
