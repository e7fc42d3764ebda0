"""What a run sounds like while it learns: short continuations, written and logged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from desc.configuration import Note
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.errors import DescError
from desc.models.base import DescriptorModel
from desc.runs import SAMPLES, RunLog
from desc.training.schedule import Schedule, is_due
from desc.training.split import excerpt, n_complete

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
    """A hook of training that writes a sample after some planned validations and at the end.

    Attributes
    ----------
    render : callable
        See `SampleRenderer`.
    context : DescriptorSequence
        What is continued.
    every_epochs, save_interval : int
        How often, and how often there is a planned validation.
    schedule : Schedule
        Tells where the end is.
    log : RunLog
        Its folder gets `samples/`.
    note : callable
        Told where a sample could not be made: a run does not end for that.
    """

    render: SampleRenderer
    context: DescriptorSequence
    every_epochs: int
    save_interval: int
    schedule: Schedule
    log: RunLog
    note: Note

    def __call__(self, model: DescriptorModel, epoch: int, step: int) -> None:
        """Write and log a sample where one is due."""
        at_end = step == self.schedule.total_steps
        if not (at_end or is_due(epoch, self.every_epochs, self.save_interval)):
            return
        path = self.log.folder / SAMPLES / f"epoch_{epoch:04d}_step_{step:06d}.wav"
        try:
            self.render(model, self.context, path)
        except DescError as error:
            self.note(f"no audio sample after epoch {epoch}: {error}")
            return
        self.log.show({"sample": path}, step)
