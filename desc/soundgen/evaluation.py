"""Evaluation of a folder of generated sound against recordings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from desc.audio import Audio
from desc.errors import CorpusError
from desc.metrics.realism import frechet_distance
from desc.progress import report
from desc.soundgen import measures
from desc.soundgen.griffin_lim import GriffinLim
from desc.soundgen.measures import Array, Float32
from desc.soundgen.mel import MelFrontEnd, check_same_mel
from desc.soundgen.recordings import Crops, SoundRecordings, even_clips
from desc.soundgen.settings import MelConfig
from desc.soundgen.vocoder import Vocoder

FORMAT, VERSION = "desc-generated-evaluation", 1
Rows = dict[str, dict[str, float]]
"""Name of a set of sounds → its measures; measures that do not apply are missing."""


@dataclass(frozen=True)
class SoundEvaluation:
    """Measures of generated sound.

    Attributes
    ----------
    sets : dict of str to dict
        References, then the generated folder.
    vocoders : dict of str to dict
        On held-out clips; empty without a vocoder.
    settings : dict
        Files, lengths and sample rate.
    """

    sets: Rows
    vocoders: Rows
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; measures that are not finite are null."""

        def plain(rows: Rows) -> list[dict[str, Any]]:
            return [
                {
                    "name": name,
                    "figures": {k: v if np.isfinite(v) else None for k, v in figures.items()},
                }
                for name, figures in rows.items()
            ]

        sets, vocoders = plain(self.sets), plain(self.vocoders)
        head = {"format": FORMAT, "version": VERSION, "settings": self.settings}
        return head | {"sets": sets, "vocoders": vocoders}


SET_COLUMNS = (
    ("FD39", "fd39", 2), ("FD80", "fd80", 1), ("NDB", "ndb", 0), ("JS", "js", 3),
    ("diversity", "diversity", 2), ("coverage", "coverage", 2), ("rms dB", "rms_db", 1),
    ("clipped", "clipped", 5), ("DC", "dc", 5), ("end click dB", "end_click_db", 1),
)  # fmt: skip
VOCODER_COLUMNS = (("mel L1", "mel_l1", 3), ("MR-STFT", "mr_stft", 3))


def lines(result: SoundEvaluation) -> list[str]:
    """Return the tables as lines of text."""
    text = _table("generated sound", SET_COLUMNS, result.sets)
    if result.vocoders:
        text += ["", *_table("vocoder, held-out clips", VOCODER_COLUMNS, result.vocoders)]
    return text


def _table(title: str, columns: tuple[tuple[str, str, int], ...], rows: Rows) -> list[str]:
    text = [title.ljust(26) + "".join(name.rjust(13) for name, _, _ in columns)]
    for name, figures in rows.items():
        cells = ""
        for _, key, digits in columns:
            value = figures.get(key, float("nan"))
            cells += (f"{value:.{digits}f}" if np.isfinite(value) else "–").rjust(13)
        text.append(name[:26].ljust(26) + cells)
    return text


MAX_S = 600.0  # evaluated of each set
CROP_FRAMES, N_CROPS = 128, 32  # of diversity
HELD_OUT = 0.1
N_CLIPS = 8
SHORTEST_S = 4.0  # two even and two odd seconds


class _Set:
    """Sounds with their descriptors and spectrograms.

    Parameters
    ----------
    sounds : list of ndarray, (S,)
        At the levels of the recordings, times their gain.
    """

    def __init__(self, sounds: list[Audio], front_end: MelFrontEnd) -> None:
        self.sounds = sounds
        self.descriptors = measures.descriptors(sounds, front_end.config.sample_rate)
        self.mels = [front_end.of_recording(s) for s in sounds]

    @property
    def frames(self) -> Array:
        """All mel frames, (T, n_mels)."""
        return np.concatenate(self.mels, 1).T.astype(np.float64)


def evaluate_generated(
    generated: SoundRecordings,
    recordings: SoundRecordings,
    mel: MelConfig,
    *,
    other: SoundRecordings | None = None,
    vocoder: Vocoder | None = None,
) -> SoundEvaluation:
    """Evaluate generated sound against the recordings it was trained on.

    Parameters
    ----------
    generated, recordings : SoundRecordings
        Both at the sample rate of `mel`.
    mel : MelConfig
    other : SoundRecordings, optional
        Other music as a reference.
    vocoder : Vocoder, optional
        Evaluated by itself on the last tenth of each recording.

    Raises
    ------
    CorpusError
        If either is shorter than four seconds.
    """
    for what, given in (("generated sound", generated), ("recordings", recordings)):
        if given.duration_s < SHORTEST_S:
            raise CorpusError(f"{what}: {given.duration_s:.1f} s, must be at least {SHORTEST_S} s")
    front_end = MelFrontEnd(mel)
    real = _Set(_limited(recordings, recordings.gain), front_end)
    noise = np.random.default_rng(0).standard_normal(len(np.concatenate(real.sounds)))
    level = np.sqrt(np.mean(np.concatenate(real.sounds) ** 2))
    candidates: dict[str, list[Audio]] = {"white noise": [(level * noise).astype(np.float32)]}
    if other is not None:
        candidates["other recordings"] = _limited(other, recordings.gain)
    candidates["Griffin-Lim"] = [_resynthesised(s, front_end) for s in real.sounds]
    candidates["generated"] = _limited(generated, recordings.gain)
    judge = _Judge(real, mel, recordings.gain)
    rows = {"real halves": judge.halves(), "real even/odd seconds": judge.seconds()}
    for index, (name, sounds) in enumerate(candidates.items()):
        rows[name] = judge.figures(_Set(sounds, front_end))
        report("evaluate", index + 1, len(candidates))
    return SoundEvaluation(
        sets=rows,
        vocoders=_vocoder_rows(vocoder, recordings, mel) if vocoder is not None else {},
        settings={
            "generated_files": len(generated.sources),
            "generated_s": generated.duration_s,
            "recordings": list(recordings.sources),
            "recordings_s": recordings.duration_s,
            "sample_rate": mel.sample_rate,
            "vocoder": None if vocoder is None else vocoder.name,
        },
    )


class _Judge:
    """Measures of sets of sounds against the recordings; all are multiplied by the same gain."""

    def __init__(self, real: _Set, mel: MelConfig, gain: float) -> None:
        self.real, self.mel, self.gain = real, mel, gain
        frames = real.frames
        self._mean, self._scale = frames.mean(0), np.maximum(frames.std(0), 1e-3)
        self._frames = (frames - self._mean) / self._scale
        config = measures.descriptor_config(mel.sample_rate)
        static = real.descriptors[:, config.static_columns]
        self._static = config.static_columns
        self._centre, self._spread = static.mean(0), np.maximum(static.std(0), 1e-9)
        even, odd = measures.even_and_odd(real.descriptors, config.frame_rate)
        self._held_out, self._kept = self._space(odd), self._space(even)

    def _space(self, values: Array) -> Array:
        return np.asarray((values[:, self._static] - self._centre) / self._spread)

    def _standardised(self, frames: Array) -> Array:
        return np.asarray((frames - self._mean) / self._scale)

    def seconds(self) -> dict[str, float]:
        """Compare even with odd seconds: the reference for real sound of the same piece."""
        rate = measures.descriptor_config(self.mel.sample_rate).frame_rate
        even, odd = measures.even_and_odd(self.real.descriptors, rate)
        even_mel, odd_mel = measures.even_and_odd(self._frames, self.mel.frame_rate)
        figures = self._row(odd, even, odd_mel, even_mel) | self._clean(self.real)
        figures["coverage"] = measures.coverage(self._held_out, self._kept)
        return figures

    def halves(self) -> dict[str, float]:
        """Compare the two halves of the recordings."""
        x, y = self.real.descriptors, self._frames
        n, m = len(x) // 2, len(y) // 2
        return self._row(x[n:], x[:n], y[m:], y[:m])

    def figures(self, candidate: _Set) -> dict[str, float]:
        """Return all measures of a set."""
        frames = self._standardised(candidate.frames)
        figures = self._row(candidate.descriptors, self.real.descriptors, frames, self._frames)
        own, real = (self._diversity(s.mels) for s in (candidate, self.real))
        figures["diversity"] = own / real
        figures["coverage"] = measures.coverage(self._held_out, self._space(candidate.descriptors))
        return figures | self._clean(candidate)

    @staticmethod
    def _row(x: Array, y: Array, x_mel: Array, y_mel: Array) -> dict[str, float]:
        ndb, js = measures.bins_apart(x_mel, y_mel)
        fd80 = frechet_distance(x_mel, y_mel)
        return {"fd39": measures.fd39(x, y), "fd80": fd80, "ndb": float(ndb), "js": js}

    def _diversity(self, mels: list[Float32]) -> float:
        standardised = [((m.T - self._mean) / self._scale).T.astype(np.float32) for m in mels]
        return measures.diversity(Crops(standardised, CROP_FRAMES, N_CROPS, seed=0).batch(0))

    def _clean(self, candidate: _Set) -> dict[str, float]:
        sounds = candidate.sounds
        return {
            "rms_db": 20 * float(np.log10(np.sqrt(np.mean(np.concatenate(sounds) ** 2)) + 1e-9)),
            "clipped": measures.clip_fraction(sounds, self.gain),
            "dc": measures.direct_current(sounds),
            "end_click_db": measures.end_click(sounds),
        }


def _limited(recordings: SoundRecordings, gain: float) -> list[Audio]:
    """Return sounds at a gain; the same share of each, at most ten minutes in all."""
    share = min(1.0, MAX_S / recordings.duration_s)
    factor = np.float32(gain / recordings.gain)
    return [s[: max(1, round(share * len(s)))] * factor for s in recordings.sounds]


@torch.no_grad()
def _resynthesised(sound: Audio, front_end: MelFrontEnd) -> Audio:
    """Return a recording rendered by Griffin-Lim from its mel spectrogram."""
    return Vocoder.griffin_lim(front_end.config)(front_end.of_recording(sound))


@torch.no_grad()
def _vocoder_rows(vocoder: Vocoder, recordings: SoundRecordings, mel: MelConfig) -> Rows:
    """Evaluate a vocoder and baselines on one-second clips from the ends of the recordings."""
    check_same_mel(vocoder.mel, mel, (f"vocoder {vocoder.name}", "the evaluation"))
    front_end = MelFrontEnd(mel)
    length = mel.sample_rate // mel.hop_length * mel.hop_length
    clips = torch.from_numpy(even_clips(recordings.split(HELD_OUT)[1], N_CLIPS, length))
    mels = front_end(clips)
    made = {
        "silence": torch.zeros_like(clips),
        "Griffin-Lim": GriffinLim(mel)(mels),
        f"{vocoder.kind} {vocoder.name}": torch.stack(
            [torch.from_numpy(vocoder(m.numpy(), mel)) for m in mels]
        ),
    }
    rows = {"mean spectrogram": {"mel_l1": measures.mel_l1_of_mean(front_end, clips)}}
    for name, audio in made.items():
        mel_l1 = measures.mel_l1(front_end, audio, clips)
        rows[name] = {"mel_l1": mel_l1, "mr_stft": measures.mr_stft(audio, clips)}
    return rows
