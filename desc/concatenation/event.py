"""`PlaylistEvent`: one piece of a file, played once."""

from __future__ import annotations

from dataclasses import dataclass

from desc.configuration import check, check_integer, check_number

CORPUS, RECORDING = "corpus", "recording"
MAX_FADE_MS = 10000.0


@dataclass(frozen=True)
class PlaylistEvent:
    """One piece of a file, played once.

    Attributes
    ----------
    source : str
        Path of the file relative to its root, with forward slashes.
    start_sample : int
        First sample of the file that is played; those outside the file are zeros.
    n_samples : int
        Length as it sounds. What is read is n_samples·2^(transpose_semitones/12), about the same
        centre.
    onset_sample : int
        Where it starts in the result.
    digest : str
        Digest of the file's content; empty: whatever the file holds.
    fade_in_ms, fade_out_ms : float
        Length of the fades. Where an event follows another without gap, the fade lies about their
        boundary and is never longer than the shorter of the two; at a free end it lies inside the
        event. Events that continue each other in their file are joined without.
    gain_db : float
        Factor on the amplitude in dB.
    transpose_semitones : float
        Change of pitch by playing faster or slower, −72 to 72: a transposed unit of a recording
        that is two octaves away itself.
    layer : int
        Events of a layer do not overlap; layers are added.
    channels : tuple of int or None
        Channels of the file to be used, counted from 0; None: all.
    root : str
        The key, in the playlist's `roots`, of the folder that `source` is relative to.
    """

    source: str
    start_sample: int
    n_samples: int
    onset_sample: int
    digest: str = ""
    fade_in_ms: float = 0.0
    fade_out_ms: float = 0.0
    gain_db: float = 0.0
    transpose_semitones: float = 0.0
    layer: int = 0
    channels: tuple[int, ...] | None = None
    root: str = CORPUS

    def __post_init__(self) -> None:
        for name in ("source", "root"):
            value = getattr(self, name)
            check(isinstance(value, str) and value != "", name, value, "be a text, not empty")
        check(isinstance(self.digest, str), "digest", self.digest, "be a text")
        check_integer("start_sample", self.start_sample, -(1 << 48))
        check_integer("n_samples", self.n_samples, 1)
        for name in ("onset_sample", "layer"):
            check_integer(name, getattr(self, name), 0)
        for name in ("fade_in_ms", "fade_out_ms"):
            check_number(name, getattr(self, name), 0.0, MAX_FADE_MS)
        check_number("gain_db", self.gain_db, -200.0, 60.0)
        check_number("transpose_semitones", self.transpose_semitones, -72.0, 72.0)
        if self.channels is not None:
            numbers = isinstance(self.channels, tuple) and len(self.channels) > 0
            check(numbers, "channels", self.channels, "be null or a list of channel numbers")
            for channel in self.channels:
                check_integer("channels", channel, 0)

    @property
    def end_sample(self) -> int:
        """The first sample of the result after the event."""
        return self.onset_sample + self.n_samples

    def continues(self, other: PlaylistEvent) -> bool:
        """Say whether the event goes on in the file where another one stopped."""
        if self.digest and other.digest:
            same_file = self.digest == other.digest
        else:
            same_file = (self.root, self.source) == (other.root, other.source)
        return (
            same_file
            and self.start_sample == other.start_sample + other.n_samples
            and self.transpose_semitones == other.transpose_semitones == 0
            and self.channels == other.channels
        )
