"""Measurements of the sound of continuations, and of the pieces of files it is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from desc.audio import Audio, resample
from desc.concatenation import Playlist
from desc.matching.repetition import REACH_S
from desc.metrics.musicnn import OUTPUTS, RATE, Tagger, audio_distance
from desc.metrics.sound import (
    ONSET_HOP,
    chroma,
    chroma_similarity,
    dips,
    flux_at,
    level_db,
    onset_strength,
)
from desc.scoring.beat import Beats
from desc.scoring.scorer import Figures

Array = npt.NDArray[np.float64]
Samples = npt.NDArray[np.int64]

JOIN_EVERY = 8  # hops, of the points of real music that are measured in place of joins


@dataclass(frozen=True, eq=False)
class Heard:
    """Measurements of a mono sound.

    Attributes
    ----------
    chroma : ndarray, (n, 12)
    onsets : ndarray, (T,)
        Onset strength.
    level_db : float
    described : ndarray, (m, 200)
        Its description by the tagger; empty without one.
    """

    chroma: Array
    onsets: Array
    level_db: float
    described: npt.NDArray[np.float32]

    @classmethod
    def of(cls, sound: Audio, sample_rate: int, tagger: Tagger | None) -> Heard:
        """Measure a sound (S,)."""
        at_rate = resample(sound[None], sample_rate, RATE)[0]
        none = np.zeros((0, OUTPUTS), np.float32)
        return cls(
            chroma=chroma(at_rate, RATE),
            onsets=onset_strength(at_rate, RATE),
            level_db=level_db(sound),
            described=none if tagger is None else tagger.describe(at_rate, RATE),
        )


@dataclass(frozen=True, eq=False)
class Joins:
    """The sound at joins and elsewhere: mean flux of both, and at which joins the level dips."""

    flux: tuple[float, float]
    dips: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, sound: Audio, joins: Samples, sample_rate: int) -> Joins:
        """Measure a sound (S,) at joins, in samples."""
        return cls(flux_at(sound, joins, sample_rate), dips(sound, joins, sample_rate))

    @classmethod
    def by_chance(cls, sound: Audio, hop: int, sample_rate: int) -> Joins:
        """Measure real music at random points, about one in eight hops."""
        n = len(sound) // hop
        points = np.random.default_rng(0).choice(np.arange(1, n), n // JOIN_EVERY, replace=False)
        return cls.of(sound, np.sort(points) * hop, sample_rate)


@dataclass(frozen=True, eq=False)
class Pieces:
    """Units of a playlist's first layer, and the stretches that are copies of one file.

    Attributes
    ----------
    starts, lengths : ndarray of int64, (n,)
        Units in samples: pieces that do not continue each other.
    copies : ndarray of int64, (m,)
        Lengths of stretches from one place, which jumps by up to .5 s do not leave, see
        `SelectionConfig.max_unit_s`.
    """

    starts: Samples
    lengths: Samples
    copies: Samples

    @classmethod
    def of(cls, playlist: Playlist, hop: int) -> Pieces:
        """Measure a playlist."""
        events = [event for _, event in playlist.layers()[0]]
        reach = hop * round(REACH_S * playlist.sample_rate / hop)
        new = [not event.continues(before) for before, event in pairwise(events)]
        apart = [
            event.source != before.source
            or abs(event.start_sample - before.start_sample - before.n_samples) > reach
            for before, event in pairwise(events)
        ]
        onsets = np.array([event.onset_sample for event in events])
        ends = np.append(onsets, events[-1].end_sample)
        starts, copies = (onsets[np.array([True, *parts])] for parts in (new, apart))
        return cls(
            starts, np.diff(np.append(starts, ends[-1])), np.diff(np.append(copies, ends[-1]))
        )


def heard_figures(
    generated: Sequence[Heard], real: Sequence[Heard], contexts: Sequence[Heard], beats: Beats
) -> Figures:
    """Compare the sounds of continuations with the real ones and with their contexts.

    Returns
    -------
    dict of str to float
        `chroma`: mean similarity to the real continuation. `sound_pulse` and so on: the figures of
        `Beats`, of onset strength. `level_db`: mean level relative to the context. `kad`: kernel
        audio distance times 1000, NaN without a tagger.
    """
    similarities = [
        chroma_similarity(a.chroma, b.chroma) for a, b in zip(generated, real, strict=True)
    ]
    levels = [a.level_db - b.level_db for a, b in zip(generated, contexts, strict=True)]
    described = [np.concatenate([heard.described for heard in x]) for x in (generated, real)]
    rhythm = beats.figures([heard.onsets for heard in generated])
    return {
        "chroma": float(np.mean(similarities)),
        "level_db": float(np.mean(levels)),
        "kad": audio_distance(*described),
        **{f"sound_{name}": value for name, value in rhythm.items()},
    }


def beats_of(contexts: Sequence[Heard], tracks: Samples) -> Beats:
    """Return the beats of contexts, by their onset strength."""
    return Beats([heard.onsets for heard in contexts], tracks, RATE / ONSET_HOP)


def join_figures(joins: Sequence[Joins]) -> Figures:
    """Return `flux_ratio`, flux at joins over flux elsewhere, and `dips`, the share of joins.

    NaN without joins in sound.
    """
    flux = [each.flux for each in joins if len(each.dips)]
    if not flux:
        return {"flux_ratio": math.nan, "dips": math.nan}
    at, elsewhere = np.mean(flux, axis=0)
    dipped = np.concatenate([each.dips for each in joins])
    return {"flux_ratio": float(at / elsewhere), "dips": float(dipped.mean())}


def piece_figures(pieces: Sequence[Pieces], sample_rate: int) -> Figures:
    """Return median and longest unit in ms, and the longest copy in s."""
    lengths = np.concatenate([each.lengths for each in pieces])
    return {
        "median_unit_ms": float(1000 * np.median(lengths) / sample_rate),
        "longest_unit_ms": float(1000 * lengths.max() / sample_rate),
        "longest_copy_s": float(max(each.copies.max() for each in pieces) / sample_rate),
    }
