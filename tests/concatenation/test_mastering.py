"""Sound files as they leave the house: formats, loudness, high-pass filter, loops."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desc import audio
from desc.concatenation import Playlist, PlaylistEvent, render, render_to_file
from desc.concatenation.looping import loop_length
from desc.configuration import MasterConfig, RenderConfig
from desc.errors import AudioError, ConfigurationError
from desc.storage import DescriptorStore
from tests.concatenation.conftest import FLOAT, RATE, Audio, MakeWav, in_a_row

SECONDS = 3


def tones(*hz: float, offset: float = 0.0, seconds: float = SECONDS) -> Audio:
    """Return a steady chord in stereo, (2, S)."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound = sum(0.2 * np.sin(2 * np.pi * f * times + f) for f in hz) + offset
    return np.stack([sound, 0.5 * sound]).astype(np.float32)


@pytest.fixture
def playlist(make_wav: MakeWav, tmp_path: Path) -> Playlist:
    """Three units of a chord with an offset."""
    make_wav("a.wav", tones(220.0, 331.0, 1000.0, offset=0.1))
    pieces = [("a.wav", 1000, 30000), ("a.wav", 70000, 30000), ("a.wav", 45000, 20000)]
    return replace(in_a_row(pieces, 20), roots={"corpus": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.flac", ("FLAC", "PCM_24")),
        ("x.ogg", ("OGG", "VORBIS")),
        ("x.mp3", ("MP3", "MPEG_LAYER_III")),
        ("x.opus", ("OGG", "OPUS")),
    ],
)
def test_the_ending_decides_the_format(
    name: str, kind: tuple[str, str], playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    result = render_to_file(playlist, tmp_path / name, store=store)
    info = audio.probe(tmp_path / name)
    assert (info.format, info.subtype) == kind
    assert result.sample_rate == info.sample_rate == (48000 if kind[1] == "OPUS" else RATE)
    sound = audio.read(tmp_path / name, RATE)
    expected = render(playlist, store=store).samples.T
    n = min(sound.shape[1], expected.shape[1])
    assert abs(sound.shape[1] - expected.shape[1]) < RATE / 20
    correlation = np.corrcoef(sound[0, :n], expected[0, :n])[0, 1]
    assert correlation > 0.998


def test_formats_without_these_samples_are_refused(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    with pytest.raises(AudioError, match="cannot hold FLOAT samples"):
        render_to_file(playlist, tmp_path / "x.flac", store=store, rendering=FLOAT)


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_the_loudness_wanted(
    subtype: str, playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    path, config = tmp_path / "x.wav", RenderConfig(subtype=subtype)
    mastering = MasterConfig(loudness=-23.0)
    result = render_to_file(playlist, path, store=store, rendering=config, mastering=mastering)
    meter = audio.LoudnessMeter(RATE, 2)
    meter.add(audio.read(path))
    assert result.loudness == pytest.approx(-23.0, abs=1e-6)
    assert meter.loudness == pytest.approx(-23.0, abs=0.01)
    plain = render(playlist, store=store).samples.T
    np.testing.assert_allclose(audio.read(path), plain * 10 ** (result.gain_db / 20), atol=1e-6)


def test_true_peaks_stay_below_the_ceiling(
    playlist: Playlist,
    store: DescriptorStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, mastering = tmp_path / "x.wav", MasterConfig(loudness=-3.0)
    with caplog.at_level(logging.WARNING, "desc"):
        result = render_to_file(playlist, path, store=store, mastering=mastering)
    meter = audio.LoudnessMeter(RATE, 2)
    meter.add(audio.read(path))
    assert 20 * np.log10(meter.true_peak) == pytest.approx(-1.0, abs=0.01)
    assert caplog.messages == [
        f"the loudness is {result.loudness:.1f} LUFS instead of -3.0: true peaks stay below -1 dB"
    ]


def test_silence_keeps_its_loudness(
    make_wav: MakeWav,
    store: DescriptorStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_wav("silence.wav", np.zeros((1, RATE)))
    playlist = Playlist(
        (PlaylistEvent("silence.wav", 0, RATE, 0),), RATE, {"corpus": str(tmp_path)}
    )
    mastering = MasterConfig(loudness=-16.0)
    with caplog.at_level(logging.WARNING, "desc"):
        render_to_file(playlist, tmp_path / "x.wav", store=store, mastering=mastering)
    assert "silent or shorter" in caplog.text
    assert not audio.read(tmp_path / "x.wav").any()


def test_a_high_pass_removes_an_offset_and_little_else(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    paths = tmp_path / "plain.wav", tmp_path / "passed.wav"
    for path, hz in zip(paths, (0.0, 20.0), strict=True):
        mastering = MasterConfig(high_pass_hz=hz)
        render_to_file(playlist, path, store=store, rendering=FLOAT, mastering=mastering)
    plain, passed = (audio.read(path)[0] for path in paths)
    assert plain.mean() == pytest.approx(0.1, abs=0.01)
    assert abs(passed.mean()) < 1e-3
    assert passed.std() == pytest.approx(plain.std(), rel=0.02)
    assert np.abs(passed[:2000]).max() < 1.1 * np.abs(passed).max()  # without a thump


def roughness(sound: Audio, place: int) -> float:
    """Return the largest second difference within 15 ms of a place, of a sound (S,)."""
    reach = round(0.015 * RATE)
    return float(np.abs(np.diff(sound[place - reach : place + reach], 2)).max())


@pytest.mark.parametrize("high_pass_hz", [0.0, 30.0])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_join_of_a_loop_is_like_those_inside(
    high_pass_hz: float, layers: int, playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    if layers == 2:
        more = [replace(e, start_sample=e.start_sample + 999, layer=1) for e in playlist.events]
        playlist = replace(playlist, events=(*playlist.events, *more))
    mastering = MasterConfig(loop=True, high_pass_hz=high_pass_hz)
    path = tmp_path / "loop.wav"
    result = render_to_file(playlist, path, store=store, rendering=FLOAT, mastering=mastering)
    assert result.n_samples == playlist.n_samples == 80000  # a steady chord has no beats
    sound = audio.read(path)[0]
    twice = np.concatenate([sound, sound])
    inner = max(roughness(twice, place) for place in (30000, 60000))
    assert roughness(twice, 80000) < 1.2 * inner
    plain = render(playlist, store=store).samples[:, 0]
    cut = np.concatenate([plain, plain])
    assert roughness(cut, 80000) > 5 * inner
    if not high_pass_hz:  # what lies between the joins is as without a loop, but for its shift
        assert sound[10000:20000].std() == pytest.approx(plain[10000:20000].std(), rel=0.02)


def test_a_loop_ends_after_whole_beats(playlist: Playlist) -> None:
    longer = replace(playlist, events=(PlaylistEvent("a.wav", 0, 5 * RATE, 0),))
    assert loop_length((0.3, 0.8, 1.3, 1.8), longer) == 2 * RATE  # four beats; the next is at 2.3
    assert loop_length((), longer) == 5 * RATE
    short = replace(playlist, events=(PlaylistEvent("a.wav", 0, round(1.9 * RATE), 0),))
    assert loop_length((0.3, 0.8, 1.3, 1.8), short) == round(1.5 * RATE)


def test_a_loop_keeps_its_sample_rate(
    playlist: Playlist, store: DescriptorStore, tmp_path: Path
) -> None:
    config, loop = RenderConfig(output_sample_rate=48000), MasterConfig(loop=True)
    with pytest.raises(ConfigurationError, match="loop=True must keep the sample rate"):
        render_to_file(playlist, tmp_path / "x.wav", store=store, rendering=config, mastering=loop)
