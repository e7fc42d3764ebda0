"""`Predictor`: continue recordings with a trained model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from desc.configuration import (
    SAMPLINGS,
    Note,
    Progress,
    RunConfig,
    check_choice,
    check_integer,
    check_number,
)
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.deltas import append_deltas
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence, read_only
from desc.devices import choose_device, one_thread
from desc.errors import ConfigurationError, DescError
from desc.models.checkpoint import load_model

if TYPE_CHECKING:
    from desc.descriptors.standardizer import Standardizer
    from desc.models.base import DescriptorModel


@dataclass(frozen=True, eq=False)
class Prediction:
    """The continuation of a recording.

    Attributes
    ----------
    values : ndarray of float32, (n_steps, D)
        Descriptors, columns as `config.names`, read-only.
    source, digest : str
        The recording.
    context_end_frame : int
        Last complete frame of the recording; `values[0]` is the frame after it.
    config : DescriptorConfig
        What the columns mean.
    run_id, model_name : str
        Where the model comes from, and which one it is.
    seed : int
    temperature : float
    sampling : str
    replay_block : int
        The settings of the draw.
    sample : int
        Which draw it is by these settings, counted from 1.
    checkpoint_digest : str
        32 hex digits that differ wherever the model's parameters do.
    """

    values: npt.NDArray[np.float32]
    source: str
    digest: str
    context_end_frame: int
    config: DescriptorConfig
    run_id: str
    model_name: str
    seed: int
    temperature: float
    sampling: str
    replay_block: int
    sample: int
    checkpoint_digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", read_only(self.values))

    def __len__(self) -> int:
        return len(self.values)


class Predictor:
    """A model and what it needs to continue recordings.

    Make one with `from_run` or `from_model`.

    Attributes
    ----------
    config : DescriptorConfig
        Settings with which recordings must be extracted.
    standardizer : Standardizer
        Scales of the training recordings, all D columns.
    """

    def __init__(self, model: DescriptorModel, run_id: str, checkpoint_digest: str) -> None:
        self.model = model
        self.run_id = run_id
        self.checkpoint_digest = checkpoint_digest

    @classmethod
    def from_run(
        cls,
        run_id: str,
        *,
        run_config: RunConfig = RunConfig(),
        accelerator: str = "auto",
        download_dir: Path | None = None,
        note: Note | None = None,
    ) -> Predictor:
        """Load the best model of a run.

        Parameters
        ----------
        run_id : str
            Id or folder of a run, see `desc.runs.resolve_run`.
        run_config : RunConfig, optional
            Where to look.
        accelerator : str
            auto, cpu, cuda (or gpu) or mps.
        download_dir : Path, optional
            Where runs fetched from a W&B server are kept, by default in the default cache.
        note : callable, optional
            Gets a line where the run is found in another project.

        Raises
        ------
        RunNotFoundError
            If no place knows the run.
        CheckpointError
            If its checkpoint cannot be used.
        ConfigurationError
            If the accelerator is not there.
        """
        from desc.runs import resolve_run

        device = choose_device(accelerator)
        record = resolve_run(run_id, run_config, download_dir, note=note)
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

    def check(self, sequence: DescriptorSequence) -> None:
        """Refuse a recording that cannot be continued.

        Raises
        ------
        DescError
            If it has fewer than 9 complete frames or descriptors that are no numbers.
        ConfigurationError
            If it was extracted with other settings than the model's.
        """
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
            raise DescError(f"{sequence.source}: its descriptors hold values that are no numbers")

    def predict(
        self,
        sequence: DescriptorSequence,
        steps: int,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        sampling: str = "plain",
        replay_block: int = 20,
        sample: int = 1,
        progress: Progress | None = None,
    ) -> Prediction:
        """Continue one recording; see `predict_many`."""
        [prediction] = self.predict_many(
            [sequence],
            steps,
            temperature,
            seed,
            sampling=sampling,
            replay_block=replay_block,
            sample=sample,
            progress=progress,
        )
        return prediction

    def predict_many(
        self,
        sequences: Sequence[DescriptorSequence],
        steps: int,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        sampling: str = "plain",
        replay_block: int = 20,
        sample: int = 1,
        progress: Progress | None = None,
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
        steps : int
            Frames to predict, at least 1.
        temperature : float
            Spread of the draws, 0 to 10: 1 as learned, 0 the mean.
        seed : int
            Together with a recording's digest it decides that recording's draws.
        sampling : str
            plain, replay or mean.
        replay_block : int
            Mean length of a block of replayed innovations, in frames.
        sample : int
            Which of the draws of this seed, from 1 on; each is another continuation.
        progress : callable, optional
            Called as progress("predict", frames done, frames in all), recordings added up.

        Returns
        -------
        list of Prediction
            In the order of the recordings.

        Raises
        ------
        DescError
            As `check` does, before anything is predicted.
        """
        check_integer("steps", steps, 1)
        check_number("temperature", temperature, 0.0, 10.0)
        check_integer("seed", seed, 0)
        check_choice("sampling", sampling, SAMPLINGS)
        check_integer("replay_block", replay_block, 1)
        check_integer("sample", sample, 1)
        for sequence in sequences:
            self.check(sequence)
        predictions = []
        for n_done, sequence in enumerate(sequences):
            context = torch.tensor(sequence.complete_static[-self.model.context_frames :])[None]
            with one_thread():
                values = self.model.continuation(
                    context,
                    torch.ones(context.shape[:2], dtype=torch.bool),
                    steps,
                    generators=[recording_generator(sample_seed(seed, sample), sequence.digest)],
                    temperature=temperature,
                    sampling=sampling,
                    replay_block=replay_block,
                    progress=progress_of_all(progress, n_done, len(sequences)),
                )
            prediction = Prediction(
                values=with_deltas(context[0].numpy(), values[0].cpu().numpy(), self.config),
                source=sequence.source,
                digest=sequence.digest,
                context_end_frame=sequence.complete.stop - 1,
                config=self.config,
                run_id=self.run_id,
                model_name=self.model.model_config.selected_model,
                seed=seed,
                temperature=temperature,
                sampling=sampling,
                replay_block=replay_block,
                sample=sample,
                checkpoint_digest=self.checkpoint_digest,
            )
            predictions.append(prediction)
        return predictions


def with_deltas(
    context: npt.NDArray[np.float32], static: npt.NDArray[np.float32], config: DescriptorConfig
) -> npt.NDArray[np.float32]:
    """Return all columns of a continuation, deltas taken over context and continuation.

    Parameters
    ----------
    context, static : ndarray of float32, (C, F) and (T, F)
        Static columns.
    config : DescriptorConfig

    Returns
    -------
    ndarray of float32, (T, D)
    """
    values = append_deltas(np.concatenate([context, static]), config)
    return np.ascontiguousarray(values[len(context) :], dtype=np.float32)


def sample_seed(seed: int, sample: int) -> int:
    """Return the seed of one of several draws, from 1 on; the first one's is `seed` itself."""
    if sample == 1:
        return seed
    key = hashlib.blake2b(f"{seed}:{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(key, "big") >> 1


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


def progress_of_all(progress: Progress | None, n_done: int, n: int) -> Progress | None:
    """Return a callable that counts the frames of all n recordings, n_done of them finished."""
    if progress is None:
        return None

    def report(stage: str, done: int, total: int) -> None:
        progress(stage, n_done * total + done, n * total)

    return report


def differences(one: DescriptorConfig, other: DescriptorConfig) -> str:
    """Name the settings in which two configurations differ."""
    return ", ".join(
        f"{name}={value!r}, not {getattr(other, name)!r}"
        for name, value in vars(one).items()
        if name in DescriptorConfig.__dataclass_fields__ and value != getattr(other, name)
    )
