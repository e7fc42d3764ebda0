"""Batch generation: exact lengths, reproducibility, restarts, merging, incompatible pairs."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc.configuration import RunConfig
from desc.errors import CheckpointError, ConfigurationError, OutputError
from desc.soundgen import generation, mel_generator
from desc.soundgen.generation import generate, read_manifest
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.settings import GenerateConfig
from desc.soundgen.vocoder import Vocoder
from tests.fuzzing import fuzz
from tests.soundgen.conftest import RATE

Trained = tuple[RunConfig, str, str]
SHORT = GenerateConfig(duration_s=0.777, num_samples=3, seed=5)


@pytest.fixture
def pair(trained: Trained) -> tuple[MelGenerator, Vocoder]:
    root, of_sound, of_mels = trained
    generator = MelGenerator.from_run(of_mels, replace(root, project="unagan"))
    return generator, Vocoder.from_run(of_sound, replace(root, project="melgan"))


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


def test_every_generator_goes_with_every_vocoder(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair
    other = replace(generator, name="other")
    result = generate([generator, other], [vocoder, None], tmp_path, SHORT)
    assert len(result.written) == 2 * 2 * 3
    assert set(rows(tmp_path)) == set(result.written)
    for name in result.written:
        audio, rate = soundfile.read(tmp_path / name)
        assert (rate, len(audio)) == (RATE, round(0.777 * RATE))
        assert np.isfinite(audio).all()
        assert np.sqrt(np.mean(audio**2)) > 1e-4
        assert soundfile.info(tmp_path / name).subtype == "PCM_24"
    assert {r["vocoder"] for r in rows(tmp_path).values()} == {"vocos", "griffin_lim"}
    assert {r["seed"] for r in rows(tmp_path).values()} == {"5", "6", "7"}
    contents = {(tmp_path / n).read_bytes() for n in result.written if n.startswith(generator.name)}
    assert len(contents) == 6


def test_what_would_be_clipped_is_turned_down_as_a_whole(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair
    for name, factor in (("quiet", 0.01), ("loud", 100)):
        changed = replace(generator, gain=generator.gain / factor)
        written = generate([changed], [vocoder], tmp_path / name, SHORT).written
    quiet, loud = rows(tmp_path / "quiet"), rows(tmp_path / "loud")
    for name in written:
        own, audio = (soundfile.read(tmp_path / f / name)[0] for f in ("quiet", "loud"))
        assert np.abs(audio).max() == pytest.approx(1, abs=1e-6)
        assert float(quiet[name]["gain_db"]) == 0
        gain = 10 ** (float(loud[name]["gain_db"]) / 20)
        np.testing.assert_allclose(audio, own * 1e4 * gain, atol=5e-3)  # the gain is rounded
    again = generate([changed], [vocoder], tmp_path / "loud", SHORT)
    assert again.kept == written
    assert rows(tmp_path / "loud") == loud


def test_a_manifest_is_made_again_from_the_files(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair
    one = replace(SHORT, num_samples=1)
    for name, factor, remade in (("quiet", 0.01, 0), ("loud", 100, 1)):
        changed, folder = replace(generator, gain=generator.gain / factor), tmp_path / name
        generate([changed], [vocoder], folder, one)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        (folder / "manifest.csv").unlink()
        # The gain of a file at full scale is known only by making it again.
        assert len(generate([changed], [vocoder], folder, one).written) == remade
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair

    def contents(folder: str, seed: int) -> list[bytes]:
        torch.randn(5)  # what others draw does not matter
        config = replace(SHORT, seed=seed, random_merge_audio=True)
        result = generate([generator], [vocoder], tmp_path / folder, config)
        return [(result.folder / name).read_bytes() for name in result.written]

    one = contents("a", 5)
    assert contents("b", 5) == one
    # the seed of a file is that of the job plus its number
    assert contents("c", 6)[:2] == one[1:3]
    assert contents("d", 50)[0] not in one


def test_an_interrupted_job_goes_on(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, vocoder = pair
    whole = generate([generator], [vocoder], tmp_path / "whole", SHORT)
    honest = generation.render
    calls = []

    def failing(*args: object) -> object:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return honest(*args)  # type: ignore[arg-type]

    folder = tmp_path / "broken off"
    monkeypatch.setattr(generation, "render", failing)
    with pytest.raises(KeyboardInterrupt):
        generate([generator], [vocoder], folder, SHORT)
    assert sorted(p.name for p in folder.iterdir()) == sorted(["manifest.csv", *whole.written[:2]])
    assert set(rows(folder)) == set(whole.written[:2])
    again = generate([generator], [vocoder], folder, SHORT)
    assert (again.kept, again.written) == (whole.written[:2], whole.written[2:])
    for path in whole.folder.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_a_file_of_another_length_is_not_replaced_unasked(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair
    one = replace(SHORT, num_samples=1)
    (name,) = generate([generator], [vocoder], tmp_path, one).written
    longer = replace(one, duration_s=1.0)
    with pytest.raises(OutputError, match=r"has 6216 samples, not 8000.*--overwrite"):
        generate([generator], [vocoder], tmp_path, longer)
    assert soundfile.info(tmp_path / name).frames == 6216
    generate([generator], [vocoder], tmp_path, longer, overwrite=True)
    assert soundfile.info(tmp_path / name).frames == 8000


def test_files_are_merged_into_channels(pair: tuple[MelGenerator, Vocoder], tmp_path: Path) -> None:
    generator, vocoder = pair
    config = replace(SHORT, random_merge_audio=True, channel_per_merge=2, num_combine_audio=4)
    result = generate([generator], [vocoder], tmp_path, config)
    merged = [name for name in result.written if name.startswith("merged")]
    assert len(merged) == 4
    for name in merged:
        row = rows(tmp_path)[name]
        sources = row["sources"].split()
        assert (row["channels"], len(set(sources))) == ("2", 2)
        audio, _ = soundfile.read(tmp_path / name, always_2d=True)
        for channel, source in zip(audio.T, sources, strict=True):
            assert np.array_equal(channel, soundfile.read(tmp_path / source)[0])


def test_a_drawn_seed_is_told_and_repeats(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator, vocoder = pair
    config = replace(SHORT, randomize_seed=True, num_samples=1)
    with caplog.at_level(logging.INFO, "desc"):
        one = generate([generator], [vocoder], tmp_path / "a", config)
    assert f"--seed {one.seed} " in caplog.text
    same = replace(config, randomize_seed=False, seed=one.seed)
    again = generate([generator], [vocoder], tmp_path / "b", same)
    assert again.written == one.written
    name = one.written[0]
    assert (again.folder / name).read_bytes() == (one.folder / name).read_bytes()


def test_a_pair_that_does_not_fit_is_refused_before_anything_is_written(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair
    other = replace(vocoder, mel=replace(vocoder.mel, sample_rate=16000))
    with pytest.raises(CheckpointError, match="sample_rate 8000 and 16000"):
        generate([generator], [vocoder, other], tmp_path, SHORT)
    assert not list(tmp_path.iterdir())


def test_a_long_spectrogram_comes_in_blocks(
    pair: tuple[MelGenerator, Vocoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = pair[0]
    monkeypatch.setattr(mel_generator, "BLOCK", 10 * 16)
    for n_frames in (1, 16, 10 * 16, 18 * 16 + 1, 1000):
        pieces = list(generator.blocks(n_frames, seed=3))
        assert sum(p.shape[1] for p in pieces) == n_frames
        assert max(p.shape[1] for p in pieces) <= 18 * 16
        assert torch.equal(torch.cat(pieces, 1), torch.cat(list(generator.blocks(n_frames, 3)), 1))
    # noise is drawn block by block: whole blocks do not depend on what follows
    for n_frames, n_equal in ((400, 160), (990, 800)):
        shorter = torch.cat(list(generator.blocks(n_frames, 3)), 1)
        assert torch.equal(shorter[:, :n_equal], torch.cat(pieces, 1)[:, :n_equal])
    # where blocks meet, frames are no further apart than at the other ends of noise vectors
    steps = torch.cat(pieces, 1).diff(dim=1).abs().mean(0)
    joins = torch.arange(10 * 16 - 1, 1000 - 18 * 16, 10 * 16)
    assert steps[joins].mean() < 2 * steps[15::16].mean()
    assert steps[joins].max() <= steps.max()


def test_there_is_no_click_at_the_end(pair: tuple[MelGenerator, Vocoder], tmp_path: Path) -> None:
    generator, vocoder = pair
    (name,) = generate([generator], [vocoder], tmp_path, replace(SHORT, num_samples=1)).written
    audio, _ = soundfile.read(tmp_path / name)
    rough = np.abs(np.diff(np.concatenate([[0, 0], audio, [0, 0]]), 2))
    assert rough[-40:].max() <= rough[400:-400].max()
    assert rough[:40].max() <= rough[400:-400].max()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"duration_s": 0.0}, "duration_s=0.0 must"),
        ({"num_samples": 0}, "num_samples=0 must"),
        ({"subtype": "FLOAT"}, "subtype='FLOAT' must be one of PCM_16"),
    ],
)
def test_wrong_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GenerateConfig(**values)  # type: ignore[arg-type]


def test_arrays_go_in_and_come_out(pair: tuple[MelGenerator, Vocoder]) -> None:
    generator, vocoder = pair
    mel = generator.generate(50, seed=3)
    assert (mel.shape, mel.dtype) == ((20, 50), np.float32)
    assert np.array_equal(mel, generator.generate(50, seed=3))
    assert not np.array_equal(mel, generator.generate(50, seed=4))
    samples = vocoder(mel)
    assert (samples.shape, samples.dtype) == ((50 * 64,), np.float32)
    natural = replace(generator.mel, log_base="e")
    np.testing.assert_allclose(vocoder(mel * np.log(10), natural), samples, atol=1e-4)


def test_they_say_what_they_are_in_a_line(pair: tuple[MelGenerator, Vocoder]) -> None:
    generator, vocoder = pair
    front_end = f"20 mel bands, hop 64 at {RATE} Hz)"
    assert repr(generator) == f"MelGenerator('{generator.name}', unagan: {front_end}"
    assert repr(vocoder) == f"Vocoder('{vocoder.name}', vocos: {front_end}"


def test_a_manifest_of_before_is_continued(
    pair: tuple[MelGenerator, Vocoder], tmp_path: Path
) -> None:
    generator, vocoder = pair
    one = replace(SHORT, num_samples=1)
    (name,) = generate([generator], [vocoder], tmp_path, one).written
    manifest = tmp_path / "manifest.csv"
    current = manifest.read_bytes()
    manifest.write_bytes(current.replace(b"generator_run_id", b"unagan_run_id"))
    assert generate([generator], [vocoder], tmp_path, one).kept == (name,)
    assert manifest.read_bytes() == current


def test_a_fuzzed_manifest_ends_in_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(
        "file,generator_run_id,vocoder_run_id,vocoder,seed,duration_s\n"
        "a.wav,1t212ycn,3o3frwll,melgan,2,1.5\nb.wav,1t212ycn,,griffin_lim,3,1.5\n"
    )
    assert read_manifest(path)[0]["vocoder"] == "melgan"
    assert read_manifest(path)[1]["channels"] == ""
    fuzz(path, read_manifest, 200)
