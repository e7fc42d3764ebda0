"""The beats of a mix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from desc.audio import Audio, resampled_blocks
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.envelope import envelope_db
from desc.descriptors.extraction import extract_signal
from desc.metrics.rhythm import onset_curve, track_beats

ANALYSIS = DescriptorConfig(descriptors=("mfcc",))


def find_beats(blocks: Iterable[Audio], sample_rate: int) -> tuple[float, ...]:
    """Return the times of the beats in seconds; none where there is no pulse.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, (n, C)
        Consecutive samples.
    sample_rate : int
        In Hz.
    """

    def mono() -> Iterator[Audio]:
        means = (block.mean(1, keepdims=True) for block in blocks)
        for block in resampled_blocks(means, sample_rate, ANALYSIS.sample_rate, 1):
            yield block[:, 0]

    values, _ = extract_signal(mono(), ANALYSIS)
    frames = track_beats(onset_curve(envelope_db(values, ANALYSIS)), ANALYSIS.frame_rate)
    return tuple((frames / ANALYSIS.frame_rate).tolist())


def tempo_of(beats_s: tuple[float, ...], otherwise: float) -> float:
    """Return the beats per minute, or `otherwise` where there are fewer than two."""
    if len(beats_s) < 2:
        return otherwise
    return 60 * (len(beats_s) - 1) / (beats_s[-1] - beats_s[0])
