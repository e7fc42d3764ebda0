"""The exceptions of `desc`: one root, a few subclasses, each with its exit status.

A message states the offending value, the rule it breaks and the file concerned.
"""

from __future__ import annotations


class DescError(Exception):
    """Root of every error raised on purpose; the command line prints it without a traceback.

    Attributes
    ----------
    exit_status : int
        What the command line returns: 1 for a failure, 2 for wrong usage.
    """

    exit_status = 1


class ConfigurationError(DescError, ValueError):
    """A setting is outside its range, or settings contradict each other."""

    exit_status = 2


class AudioError(DescError):
    """An audio file cannot be read or written."""


class CorpusError(DescError):
    """A folder contains nothing usable."""


class StorageError(DescError):
    """The cache or a file of descriptors is damaged or cannot be written."""


class RunNotFoundError(DescError):
    """A run id was not found in any of the searched places."""


class CheckpointError(DescError):
    """A checkpoint is damaged, of another program or of an unknown format version."""


class TrainingInterruptedError(KeyboardInterrupt):
    """Ctrl-C during training, after the run was saved.

    Attributes
    ----------
    run_id : str
        The run that can be used.
    status : str
        `stopped`, or `finished` if it was complete.
    """

    def __init__(self, run_id: str, status: str = "stopped") -> None:
        super().__init__(run_id)
        self.run_id, self.status = run_id, status


class TrackingError(DescError):
    """A W&B server cannot be reached or did not keep what was sent."""


class OutputError(DescError):
    """An output folder holds a result of another request."""
