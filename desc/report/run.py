"""`RunView`: what a run's folder says about its training, and what the model does with music."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from desc.configuration import Sampling
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.errors import CheckpointError
from desc.models.checkpoint import load_model
from desc.prediction import Predictor
from desc.runs import RunRecord
from desc.runs.metrics_file import read_metrics
from desc.runs.record import METRICS_FILE
from desc.storage import DescriptorStore

Array = npt.NDArray[np.float32]

SAMPLE_FRAMES = 215  # 5 s by default: as much is shown of what came before
N_RECORDINGS = 2
N_DRAWS = 3


@dataclass(frozen=True, eq=False)
class Sample:
    """Continuations of a recording from its middle, beside what really followed.

    Attributes
    ----------
    source : str
        The recording.
    heard : bool
        Whether the model learned from it.
    before, real : ndarray of float32, (T0, F), (T, F)
        Static descriptors up to the middle, and after it.
    drawn : ndarray of float32, (N, T, F)
        Continuations, with one seed each.
    """

    source: str
    heard: bool
    before: Array
    real: Array
    drawn: Array


@dataclass(frozen=True, eq=False)
class RunView:
    """A run as pages and plots show it.

    Attributes
    ----------
    record : RunRecord
    curves : dict of str to ndarray of float64, (n, 2)
        Of each column of `metrics.csv` the steps and the values.
    samples : tuple of Sample
    """

    record: RunRecord
    curves: dict[str, npt.NDArray[np.float64]]
    samples: tuple[Sample, ...]

    @classmethod
    def load(cls, record: RunRecord, store: DescriptorStore) -> RunView:
        """Read a run's log, and draw continuations of recordings whose descriptors are cached.

        Raises
        ------
        StorageError
            If the log is damaged.
        """
        path = record.folder / METRICS_FILE
        rows = read_metrics(path) if path.is_file() else []
        names = dict.fromkeys(name for row in rows for name in row)
        curves = {
            name: np.array([(row["step"], row[name]) for row in rows if name in row])
            for name in names
            if name not in ("step", "time", "epoch")
        }
        return cls(record, curves, draw_samples(record, store))


def draw_samples(record: RunRecord, store: DescriptorStore) -> tuple[Sample, ...]:
    """Continue up to two recordings of a run, of those it did not hear first.

    Returns
    -------
    tuple of Sample
        Empty where the run has no checkpoint, or the cache none of its recordings.
    """
    try:
        path = record.checkpoint()
    except CheckpointError:
        return ()
    known = [(d, s, False) for d, s in record.validation_files.items()]
    known += [(d, s, True) for d, s in record.training_files.items()]
    found = []
    for digest, source, heard in known:
        sequence = store.load(digest, record.descriptor_config, source)
        if sequence is not None and len(sequence.complete_static) >= 4 * MIN_FRAMES:
            found.append((sequence, heard))
        if len(found) == N_RECORDINGS:
            break
    if not found:
        return ()
    predictor = Predictor.from_model(load_model(path), record.run_id)
    return tuple(_sample(predictor, sequence, heard) for sequence, heard in found)


def _sample(predictor: Predictor, sequence: DescriptorSequence, heard: bool) -> Sample:
    config, frames = sequence.config, sequence.complete
    middle = (frames.start + frames.stop) // 2
    n = min(SAMPLE_FRAMES, frames.stop - middle)
    n_samples = (middle - 1) * config.hop_length + config.n_fft // 2
    values = sequence.values[: config.n_frames(n_samples)]
    cut = DescriptorSequence(values, config, sequence.source, sequence.digest, n_samples)
    static = config.static_columns
    return Sample(
        source=sequence.source,
        heard=heard,
        before=sequence.values[max(frames.start, middle - n) : middle, static],
        real=sequence.values[middle : middle + n, static],
        drawn=np.stack(
            [
                predictor.predict(cut, Sampling(seed=seed), frames=n).values[:, static]
                for seed in range(N_DRAWS)
            ]
        ),
    )
