"""Measures with known answers, and the evaluation of a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc.commands.main import main
from desc.soundgen.evaluation import evaluate_generated
from desc.soundgen.measures import (
    bins_apart,
    clip_fraction,
    coverage,
    direct_current,
    diversity,
    end_click,
    even_and_odd,
    fd39,
    mel_l1,
    mel_l1_of_mean,
    mr_stft,
)
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.recordings import SoundRecordings, open_recordings
from tests.soundgen.conftest import MEL, RATE

Signals = Callable[..., np.ndarray]


def test_spectral_distances_of_known_sounds(make_signal: Signals) -> None:
    x = torch.from_numpy(make_signal("notes", 1.0, RATE))[None]
    front_end = MelFrontEnd(MEL)
    assert mel_l1(front_end, x, x) == 0
    assert mr_stft(x, x) == 0
    # half the level: log10 2 in every band above the floor, ln 2 + a convergence of one half
    loud = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert mel_l1(front_end, 0.5 * loud, loud) == pytest.approx(math.log10(2), rel=1e-3)
    assert mr_stft(0.5 * loud, loud) == pytest.approx(0.5 + math.log(2), rel=1e-3)
    tone = torch.from_numpy(make_signal("noise", 2.0, RATE))[None]
    assert mel_l1_of_mean(front_end, tone) < mel_l1_of_mean(front_end, x)


def test_fd39_of_shifted_frames(rng: np.random.Generator) -> None:
    real = 3 * rng.standard_normal((4000, 39)) + 5
    assert fd39(real, real) == pytest.approx(0, abs=1e-6)
    assert fd39(real + real.std(0), real) == pytest.approx(39, rel=1e-3)  # one deviation a column


def test_bins_of_equal_and_of_other_frames(rng: np.random.Generator) -> None:
    centres = 20 * rng.standard_normal((20, 5))
    real = np.repeat(centres, 100, 0) + rng.standard_normal((2000, 5))
    ndb, js = bins_apart(real + 0.01, real)
    assert ndb == 0
    assert js == pytest.approx(0, abs=1e-4)
    ndb, js = bins_apart(real[:100], real)  # one cluster alone
    assert ndb >= 19
    # shares (1, 0 …) and (1/20 …): the divergence from its definition
    p, q = np.eye(20)[0], np.full(20, 0.05)
    m = (p + q) / 2
    expected = (np.log(1 / m[0]) + (q * np.log(q / m)).sum()) / 2
    assert js == pytest.approx(expected, rel=0.05)


def test_coverage_is_the_distance_to_the_nearest(rng: np.random.Generator) -> None:
    database = rng.standard_normal((3000, 4))
    assert coverage(database[:700], database) == pytest.approx(0, abs=1e-6)
    held_out = rng.standard_normal((600, 4))
    brute = np.mean([np.sqrt(((database - x) ** 2).sum(1).min()) for x in held_out])
    assert coverage(held_out, database) == pytest.approx(brute)


def test_diversity_of_equal_and_of_opposite_spectrograms() -> None:
    same = np.ones((3, 4, 5), np.float32)
    assert diversity(same) == 0
    assert diversity(np.stack([same[0], -same[0]])) == 2


def test_even_and_odd_seconds() -> None:
    even, odd = even_and_odd(np.arange(10.0)[:, None], 2.0)
    assert even[:, 0].tolist() == [0, 1, 4, 5, 8, 9]
    assert odd[:, 0].tolist() == [2, 3, 6, 7]


def test_faults_of_sounds_are_seen(make_signal: Signals) -> None:
    clean = make_signal("tone", 2.0, RATE)
    assert clip_fraction([clean]) == 0
    assert clip_fraction([np.clip(4 * clean, -1, 1)]) > 0.3
    assert direct_current([clean + np.float32(0.1), clean]) == pytest.approx(0.05, abs=1e-3)
    clicking = clean.copy()
    clicking[-20] += 0.8
    assert end_click([clicking]) > 6
    assert end_click([clean]) < 1


def test_what_was_recorded_is_nearer_than_noise(recordings: SoundRecordings, folder: Path) -> None:
    generated = open_recordings(folder / "long.wav", RATE)
    result = evaluate_generated(generated, recordings, MEL)
    figures = result.sets
    for name in ("fd39", "fd80", "js"):
        assert figures["generated"][name] < 0.3 * figures["white noise"][name], name
    assert figures["Griffin-Lim"]["fd80"] < figures["white noise"]["fd80"]
    assert figures["generated"]["coverage"] < 0.2 * figures["white noise"]["coverage"]
    assert figures["generated"]["diversity"] == pytest.approx(1, abs=0.3)
    # levels are those of the files, whatever gains they were read with
    assert figures["generated"]["rms_db"] == pytest.approx(
        figures["real even/odd seconds"]["rms_db"], abs=3
    )


@pytest.mark.parametrize("peak", [0.3, 0.6, 0.95])
def test_clipping_is_that_of_the_files(peak: float, tmp_path: Path, make_signal: Signals) -> None:
    """Whatever gain brings the recordings to a peak of .95."""
    tone = make_signal("tone", 5.0, RATE)
    clipped = np.clip(2 * tone / np.abs(tone).max(), -1, 1)
    (tmp_path / "real").mkdir()
    soundfile.write(tmp_path / "real" / "a.wav", peak * tone / np.abs(tone).max(), RATE, "FLOAT")
    soundfile.write(tmp_path / "b.wav", clipped, RATE, "FLOAT")
    generated, real = (open_recordings(tmp_path / name, RATE) for name in ("b.wav", "real"))
    figures = evaluate_generated(generated, real, MEL).sets
    share = np.mean(np.abs(clipped) >= 0.999)
    assert 0.2 < share < 0.8
    assert figures["generated"]["clipped"] == pytest.approx(share, abs=1e-4)
    assert figures["real even/odd seconds"]["clipped"] == 0


def test_the_command_prints_tables_and_writes_figures(
    folder: Path, tmp_path: Path, make_signal: Signals, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "generated").mkdir()
    soundfile.write("generated/a.wav", make_signal("notes", 5.0, RATE, seed=9), RATE)
    soundfile.write("generated/merged_a.wav", make_signal("noise", 5.0, RATE), RATE)
    words = ["evaluate", "--generated", "generated", "--audio_db_dir", str(folder)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for word in ("FD39", "FD80", "NDB", "real even/odd seconds", "white noise", "generated"):
        assert word in printed
    stored = json.loads((tmp_path / "evaluation" / "generated.json").read_text())
    assert stored["settings"]["generated_files"] == 1
    assert main([*words, "--run_id", "x"]) == 2
    assert main(["evaluate", "--audio_db_dir", str(folder)]) == 2
    assert "give either --run_id or --generated" in capsys.readouterr().err
