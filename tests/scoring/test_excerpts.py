"""Positions and contents of excerpts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from desc.descriptors.extraction import extract
from desc.models.checkpoint import load_model
from desc.scoring.excerpts import Protocol, cut_excerpts, positions
from desc.scoring.reference_scales import ReferenceScales
from tests.small_run import SmallRun

SHORT, LONG = Protocol("short", 512, 512, 6), Protocol("long", 512, 2048, 3)


@pytest.mark.parametrize(
    ("n_frames", "n"), [(1023, 0), (1024, 1), (1279, 1), (1280, 2), (2304, 6), (9000, 6)]
)
def test_there_are_as_many_as_there_is_room_for(n_frames: int, n: int) -> None:
    found = positions(n_frames, SHORT)
    assert len(found) == n
    assert all(512 <= p <= n_frames - 512 for p in found)
    assert (np.diff(found) >= 255).all()


def test_they_are_evenly_spaced() -> None:
    np.testing.assert_array_equal(positions(6024, SHORT), np.arange(6) * 1000 + 512)


def test_long_ones_have_as_much_before_as_after() -> None:
    assert len(positions(4095, LONG)) == 0
    np.testing.assert_array_equal(positions(4096, LONG), [2048])


def test_recordings_that_are_too_short_or_not_finite_are_left_out(small_run: SmallRun) -> None:
    statistics = load_model(small_run.record.checkpoint()).statistics
    scales = ReferenceScales.from_run(small_run.record, statistics)
    long, short = (
        extract(small_run.root / "held_out" / f"{name}.wav", scales.config)
        for name in ("y", "short")
    )
    broken = replace(long, values=np.where(long.values > 0, np.nan, long.values), source="nan.wav")
    excerpts = cut_excerpts([broken, long, short], Protocol("short", 64, 64, 6), scales)
    assert excerpts.left_out.keys() == {"nan.wav", short.source}
    assert excerpts.left_out[short.source] == "42 complete frames, 128 are needed"
    assert excerpts.sources == (long.source,)
    frames = long.complete_static
    for e, position in enumerate(excerpts.positions):
        np.testing.assert_array_equal(excerpts.raw_contexts[e], frames[position - 64 : position])
        np.testing.assert_array_equal(excerpts.raw_targets[e], frames[position : position + 64])
    kept = excerpts.chosen(excerpts.positions == excerpts.positions[0])
    assert len(kept) == 1
    np.testing.assert_array_equal(kept.targets, excerpts.targets[:1])
