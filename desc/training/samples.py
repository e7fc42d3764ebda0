"""Audio samples during training: short continuations as WAV files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.errors import DescError
from desc.models.base import DescriptorModel
from desc.training.recordings import excerpt, n_complete

logger = logging.getLogger(__name__)
SampleRenderer = Callable[[DescriptorModel, DescriptorSequence, Path], None]
"""Called as render(model, recording, path): continues the recording and writes it as a WAV."""

CUT = 0.75  # of a recording is the context: many fade out at their end, and so would the sample


def sample_context(validation: Sequence[DescriptorSequence]) -> DescriptorSequence:
    """Return the first three quarters of the first validation recording."""
    recording = validation[0]
    start = recording.complete.start
    n_frames = max(MIN_FRAMES, round(CUT * n_complete(recording)))
    return excerpt(recording, start, start + n_frames)


@dataclass(frozen=True, eq=False)
class AudioSamples:
    """Writer of continuations of one recording.

    Attributes
    ----------
    render : callable
        See `SampleRenderer`.
    context : DescriptorSequence
        The recording to continue.
    """

    render: SampleRenderer
    context: DescriptorSequence

    def write(self, model: DescriptorModel, path: Path) -> dict[str, Path]:
        """Write a sample; one that fails is logged and does not end the training."""
        try:
            self.render(model, self.context, path)
        except DescError as error:
            logger.warning("no audio sample %s: %s", path.stem, error)
            return {}
        return {"sample": path}
