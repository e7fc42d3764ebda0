"""`Predictor`: continue recordings with a trained model."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import RunConfig, Sampling, check_integer, check_type
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.descriptors.sequence import MIN_FRAMES, DescriptorFrames, DescriptorSequence
from desc.devices import choose_device, one_thread
from desc.errors import ConfigurationError, DescError
from desc.models.checkpoint import load_model
from desc.models.rollout import continuation
from desc.progress import part

if TYPE_CHECKING:
    from desc.descriptors.standardizer import Standardizer
    from desc.models.base import DescriptorModel
    from desc.runs import RunRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(DescriptorFrames):
    """Predicted descriptors of the frames after the last complete frame of a recording.

    Attributes
    ----------
    values, config, source, digest, first_frame
        See `DescriptorFrames`.
    before : ndarray of float32, (n, D)
        The end of the recording, as the model saw it.
    sampling : Sampling
        Settings of the draw.
    standardizer : Standardizer
        Scales of the training recordings, all D columns.
    run_id, model_name : str
        Run and name of the model.
    checkpoint_digest : str
        Digest of the model's parameters, 32 hex digits.
    """

    sampling: Sampling
    standardizer: Standardizer
    run_id: str
    model_name: str
    checkpoint_digest: str

    @property
    def context_end_frame(self) -> int:
        """Frame of the recording before the first predicted one: its last complete frame."""
        return self.first_frame - 1


class Predictor:
    """A model and what it needs to continue recordings.

    Make one with `from_run` or `from_model`.
    """

    def __init__(self, model: DescriptorModel, run_id: str, checkpoint_digest: str) -> None:
        self.model = model
        self.run_id = run_id
        self.checkpoint_digest = checkpoint_digest

    @classmethod
    def from_run(
        cls,
        run_id: str | Path | RunRecord,
        *,
        run: RunConfig = RunConfig(),
        accelerator: str = "auto",
    ) -> Predictor:
        """Load the best model of a run.

        Parameters
        ----------
        run_id : str, Path or RunRecord
            Id or folder of a run (see `desc.runs.resolve_run`), or its record.
        run : RunConfig
            Where to look for the run.
        accelerator : str
            auto, cpu, cuda (or gpu) or mps.

        Raises
        ------
        RunNotFoundError
            If the run is not found.
        CheckpointError
            If its checkpoint cannot be used.
        ConfigurationError
            If the accelerator is not available.
        """
        from desc.runs import RunRecord, resolve_run

        device = choose_device(accelerator)
        record = run_id if isinstance(run_id, RunRecord) else resolve_run(run_id, run)
        model = load_model(record.checkpoint("best"), device)
        return cls(model, record.run_id, parameter_digest(model))

    @classmethod
    def from_model(cls, model: DescriptorModel, run_id: str = "") -> Predictor:
        """Predict with a model in memory, also one in mid-training."""
        return cls(model, run_id, parameter_digest(model))

    @property
    def config(self) -> DescriptorConfig:
        """Settings with which recordings must be extracted."""
        return self.model.descriptor_config

    @property
    def standardizer(self) -> Standardizer:
        """Scales of the training recordings, all D columns."""
        return self.model.statistics.standardizer

    def __repr__(self) -> str:
        run = f" of run {self.run_id}" if self.run_id else ""
        return (
            f"Predictor({self.model.model_config.selected_model}{run}: {self.config.n_columns} "
            f"columns ({', '.join(self.config.groups)}), {self.config.frame_rate:.2f} frames/s)"
        )

    def check(self, sequence: DescriptorSequence) -> None:
        """Refuse a recording that cannot be continued.

        Raises
        ------
        DescError
            If it has fewer than 9 complete frames or descriptors that are not finite.
        ConfigurationError
            If it is not a `DescriptorSequence`, or was extracted with other settings than the
            model's.
        """
        if not isinstance(sequence, DescriptorSequence):
            raise ConfigurationError(
                f"{sequence!r} cannot be continued: predict takes a DescriptorSequence, "
                "as desc.extract returns it"
            )
        if sequence.config != self.config:
            raise ConfigurationError(
                f"{sequence.source}: its descriptors were extracted with other settings than "
                f"the model's: {differences(sequence.config, self.config)}"
            )
        n_complete = len(sequence.complete_static)
        if n_complete < MIN_FRAMES:
            needed = (MIN_FRAMES - 1) * self.config.hop_length + self.config.n_fft
            raise DescError(
                f"{sequence.source}: too short to be continued: {n_complete} complete frames, "
                f"at least {MIN_FRAMES} are needed ({needed / self.config.sample_rate:.2f} s)"
            )
        if not np.isfinite(sequence.complete_static).all():
            raise DescError(
                f"{sequence.source}: its descriptors contain values that are not finite"
            )

    def predict(
        self, sequence: DescriptorSequence, sampling: Sampling = Sampling(), *, frames: int = 430
    ) -> Prediction:
        """Continue one recording; see `predict_many`."""
        [prediction] = self.predict_many([sequence], sampling, frames=frames)
        return prediction

    def predict_many(
        self,
        sequences: Sequence[DescriptorSequence],
        sampling: Sampling = Sampling(),
        *,
        frames: int = 430,
    ) -> list[Prediction]:
        """Continue recordings, each from its last complete frame on.

        A recording gives the same bytes alone and among others, whatever the number of threads,
        on one kind of machine: batches are one recording wide. Rows of a wider batch do not have
        that property. Vector instructions leave the last elements of a tensor to scalar ones,
        and matrix products choose their kernel by shape, so rounding depends on the row's place.

        Parameters
        ----------
        sequences : sequence of DescriptorSequence
            Extracted with `config`, each with at least 9 complete frames.
        sampling : Sampling
            How each continuation is sampled. The seed of a recording is made of `sampling.seed`,
            `sampling.draw` and the recording's digest.
        frames : int
            Frames to predict, at least 1.

        Returns
        -------
        list of Prediction
            In the order of the recordings.

        Raises
        ------
        DescError
            As `check` does, before anything is predicted.
        """
        check_integer("frames", frames, 1)
        check_type("sampling", sampling, Sampling, "e.g. Sampling(temperature=0.8, seed=1)")
        for sequence in sequences:
            self.check(sequence)
        predictions = []
        for index, sequence in enumerate(sequences):
            with part(index, len(sequences)):
                predictions.append(self._predict(sequence, sampling, frames))
        return predictions

    def _predict(self, sequence: DescriptorSequence, sampling: Sampling, frames: int) -> Prediction:
        context = torch.tensor(sequence.complete_static[-self.model.context_frames :])[None]
        valid = torch.ones(context.shape[:2], dtype=torch.bool)
        generator = recording_generator(sampling.draw_seed, sequence.digest)
        with one_thread():
            drawn = continuation(
                self.model, context, valid, frames, sampling, generators=[generator]
            )
        before, values = with_deltas(context[0].numpy(), drawn[0].cpu().numpy(), self.config)
        return Prediction(
            values=values,
            before=before,
            source=sequence.source,
            digest=sequence.digest,
            first_frame=sequence.first_frame + sequence.complete.stop,
            config=self.config,
            sampling=sampling,
            standardizer=self.standardizer,
            run_id=self.run_id,
            model_name=self.model.model_config.selected_model,
            checkpoint_digest=self.checkpoint_digest,
        )


def with_deltas(
    context: npt.NDArray[np.float32], static: npt.NDArray[np.float32], config: DescriptorConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return all columns of a context and of its continuation, deltas taken over both.

    Parameters
    ----------
    context, static : ndarray of float32, (C, F) and (T, F)
        Static columns.
    config : DescriptorConfig

    Returns
    -------
    before, values : ndarray of float32, (C, D) and (T, D)
    """
    every = append_deltas(np.concatenate([context, static]), config).astype(np.float32)
    return every[: len(context)], np.ascontiguousarray(every[len(context) :])


def recording_generator(seed: int, digest: str) -> torch.Generator:
    """Return the generator of a recording, seeded from the seed and its content."""
    key = hashlib.blake2b(f"{seed}:{digest}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(key, "big") >> 1)


def parameter_digest(model: DescriptorModel) -> str:
    """Return 32 hex digits of a model's parameters and statistics."""
    digest = hashlib.blake2b(digest_size=16)
    tensors = {**model.state_dict(), **model.statistics.to_tensors()}
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def differences(one: DescriptorConfig, other: DescriptorConfig) -> str:
    """Name the settings in which two configurations differ."""
    return ", ".join(
        f"{name}={value!r}, not {getattr(other, name)!r}"
        for name, value in vars(one).items()
        if name in DescriptorConfig.__dataclass_fields__ and value != getattr(other, name)
    )
