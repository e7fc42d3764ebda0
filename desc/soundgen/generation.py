"""Batch generation: WAV files of new sound from every pair of generator and vocoder."""

from __future__ import annotations

import csv
import io
import logging
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from desc.audio import (
    AudioWriter,
    check_space,
    probe,
    read,
    read_mono_blocks,
    write_scaled,
)
from desc.configuration import RunConfig
from desc.errors import AudioError, ConfigurationError, OutputError
from desc.files import write_text
from desc.progress import report
from desc.soundgen.mel import check_same_mel
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.settings import GenerateConfig
from desc.soundgen.vocoder import Vocoder

MANIFEST = "manifest.csv"
COLUMNS = (
    "file", "generator_run_id", "vocoder_run_id", "vocoder", "seed", "duration_s", "sample_rate",
    "channels", "gain_db", "sources",
)  # fmt: skip
EARLIER_COLUMNS = {"unagan_run_id": "generator_run_id"}
EXTRA_FRAMES = 10  # generated after the end and cut off: networks click where a spectrogram ends
FULL_SCALE = 0.9999  # of the peak of a file that was attenuated, in any sample format
FADE_S = 0.005  # at both ends of a file
MANIFEST_INTERVAL = 50  # files between two writes of the manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """A file to write, with the seed of its noise."""

    name: str
    generator: MelGenerator
    vocoder: Vocoder
    seed: int


@dataclass(frozen=True)
class Generated:
    """Result of a generation.

    Attributes
    ----------
    folder : Path
    written, kept : tuple of str
        Names of the files written now, and of those that existed already.
    seed : int
        Seed of the first file.
    """

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    seed: int


def generate_from_runs(
    generator_run_id: str,
    output_dir: str | Path,
    *,
    vocoder_run_id: str | None = None,
    config: GenerateConfig = GenerateConfig(),
    run: RunConfig = RunConfig(),
    overwrite: bool = False,
) -> Generated:
    """Write files of new sound with trained networks; see `generate`.

    Parameters
    ----------
    generator_run_id : str
        Runs or checkpoints of mel generators, separated by commas.
    output_dir : path
        Folder for the files and `manifest.csv`.
    vocoder_run_id : str, optional
        Runs or checkpoints of vocoders, separated by commas; by default Griffin-Lim. The kind of a
        published checkpoint (MelGAN or HiFi-GAN) is detected from its content.
    config : GenerateConfig
    run : RunConfig
        Where to find runs.
    overwrite : bool
        Replace existing files of another length.

    Raises
    ------
    ConfigurationError
        If a list of runs is empty.
    DescError
        As `generate`, `MelGenerator.from_run` and `Vocoder.from_run`.
    """
    generators = [
        MelGenerator.from_run(name, replace(run, project="unagan"))
        for name in _listed("generator_run_id", generator_run_id)
    ]
    vocoders: list[Vocoder | None] = [None]
    if vocoder_run_id is not None:
        vocoders = [
            Vocoder.from_run(name, replace(run, project="melgan"))
            for name in _listed("vocoder_run_id", vocoder_run_id)
        ]
    return generate(generators, vocoders, output_dir, config, overwrite=overwrite)


def _listed(name: str, text: str) -> list[str]:
    """Split a comma-separated list."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationError(f"{name}={text!r} must name a run")
    return parts


def generate(
    generators: Sequence[MelGenerator],
    vocoders: Sequence[Vocoder | None],
    output_dir: str | Path,
    config: GenerateConfig = GenerateConfig(),
    *,
    overwrite: bool = False,
) -> Generated:
    """Write `num_samples` files for each pair of generator and vocoder.

    Existing files are kept, so an interrupted call can be repeated; rows that the manifest lacks
    are added. The same settings give the same bytes. A file that would exceed full scale is
    attenuated (two-pass peak normalisation); the manifest has its gain.

    Parameters
    ----------
    generators : sequence of MelGenerator
    vocoders : sequence of Vocoder or None
        None is Griffin-Lim.
    output_dir : path
        Folder for the files and `manifest.csv`.
    config : GenerateConfig
    overwrite : bool
        Replace existing files of another length.

    Raises
    ------
    CheckpointError
        If a generator and a vocoder have different mel front ends.
    OutputError
        If a file of another length exists.
    """
    seed = config.seed
    if config.randomize_seed:
        seed = secrets.randbelow(1 << 31)
        logger.info("seed: %d (--seed %d repeats these files)", seed, seed)
    planned = plan(generators, vocoders, config, seed)
    folder = Path(output_dir)
    manifest = _Manifest(folder / MANIFEST)
    written: list[str] = []
    kept: list[str] = []
    try:
        for index, job in enumerate(planned):
            rate = job.generator.mel.sample_rate
            n_samples = round(config.duration_s * rate)
            path = folder / job.name
            gain_db = None
            if _exists(path, n_samples, overwrite):
                gain_db = manifest.gain_db(job.name) or _gain_db(path)
            if gain_db is not None:
                kept.append(job.name)
            else:
                check_space(path, n_samples, 1, config.subtype)
                blocks = (piece.numpy() for piece in render(job, n_samples))
                _, gain = write_scaled(blocks, path, rate, 1, config.subtype)
                gain_db = round(20 * math.log10(gain), 2)
                written.append(job.name)
            manifest.add(
                file=job.name,
                generator_run_id=job.generator.name,
                vocoder_run_id=job.vocoder.name,
                vocoder=job.vocoder.kind,
                seed=job.seed,
                duration_s=config.duration_s,
                sample_rate=rate,
                channels=1,
                gain_db=gain_db,
            )
            if len(written) % MANIFEST_INTERVAL == MANIFEST_INTERVAL - 1:
                manifest.save()
            report("generate", index + 1, len(planned))
        if config.random_merge_audio:
            names = [job.name for job in planned]
            written += _merge(folder, names, config, seed, manifest)
    finally:
        manifest.save()
    return Generated(folder, tuple(written), tuple(kept), seed)


def plan(
    generators: Sequence[MelGenerator],
    vocoders: Sequence[Vocoder | None],
    config: GenerateConfig,
    seed: int,
) -> list[Planned]:
    """Return the files to write; pairs with different front ends are refused first."""
    planned = []
    for generator in generators:
        for given in vocoders:
            vocoder = given or Vocoder.griffin_lim(generator.mel)
            names = (f"generator {generator.name}", f"vocoder {vocoder.name}")
            check_same_mel(generator.mel, vocoder.mel, names)
            for index in range(config.num_samples):
                name = f"{generator.name}_{vocoder.name}_seed{seed}_{index:05}.wav"
                planned.append(Planned(name, generator, vocoder, seed + index))
    return planned


def render(job: Planned, n_samples: int) -> Iterator[Tensor]:
    """Yield the samples of a file in pieces, `n_samples` in all, at the recordings' level."""
    mel = job.generator.mel
    n_frames = -(-n_samples // mel.hop_length) + EXTRA_FRAMES
    pieces = job.vocoder.render_blocks(job.generator.blocks(n_frames, job.seed), mel)
    fade = round(FADE_S * mel.sample_rate)
    done = 0
    for piece in pieces:
        audio = piece[: n_samples - done] / job.generator.gain
        place = torch.arange(done, done + len(audio))
        yield audio * ((place + 1) / fade).clamp(max=1) * ((n_samples - place) / fade).clamp(max=1)
        done += len(audio)


def _exists(path: Path, n_samples: int, overwrite: bool) -> bool:
    """Tell whether a file exists in the right length.

    Raises
    ------
    OutputError
        If a file of another length, or one that is not audio, is in the way.
    """
    if not path.exists():
        return False
    try:
        found = probe(path).n_samples
    except AudioError:
        found = -1
    if found == n_samples or overwrite:
        return found == n_samples
    what = "is not audio" if found < 0 else f"has {found} samples, not {n_samples}"
    raise OutputError(f"{path}: {what}; choose another --output_dir, or give --overwrite")


def _gain_db(path: Path) -> str | None:
    """Return the gain of a file that lacks its row of the manifest; None if it was attenuated.

    Such a file is made again: its peak is full scale, whatever the gain was.
    """
    peak = max(float(np.abs(block).max()) for block in read_mono_blocks(path))
    return "0.0" if peak < FULL_SCALE else None


def _merge(
    folder: Path, names: list[str], config: GenerateConfig, seed: int, manifest: _Manifest
) -> list[str]:
    """Write multichannel files whose channels are randomly chosen files."""
    rng = np.random.default_rng(seed)
    k = config.channel_per_merge
    written = []
    rates = {name: probe(folder / name).sample_rate for name in names}
    for index in range(config.num_combine_audio):
        chosen = [names[i] for i in rng.choice(len(names), k, replace=len(names) < k)]
        if len({rates[name] for name in chosen}) > 1:
            raise OutputError(f"{folder}: cannot merge files of different sample rates")
        name = f"merged_{k}ch_seed{seed}_{index:05}.wav"
        with AudioWriter(folder / name, rates[chosen[0]], k, config.subtype) as writer:
            writer.write(np.concatenate([read(folder / one) for one in chosen]))
        written.append(name)
        manifest.add(
            file=name,
            seed=seed,
            duration_s=config.duration_s,
            sample_rate=rates[chosen[0]],
            channels=k,
            sources=" ".join(chosen),
        )
    return written


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Return the rows of a `manifest.csv`: the known columns, empty where they are missing.

    Raises
    ------
    OutputError
        If the file cannot be read or is no manifest.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [
                {EARLIER_COLUMNS.get(name, name): value or "" for name, value in row.items()}
                for row in csv.DictReader(stream)
            ]
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise OutputError(f"{path}: damaged; remove it to begin a new one: {error}") from error
    if any("file" not in row for row in rows):
        raise OutputError(f"{path}: has no column file, so it is no manifest; remove it")
    return [{name: row.get(name, "") for name in COLUMNS} for row in rows]


class _Manifest:
    """`manifest.csv`: one row per file; rows of earlier calls are kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, dict[str, object]] = {}
        if path.is_file():
            for row in read_manifest(path):
                self.add(**row)

    def add(self, **row: object) -> None:
        self._rows[str(row["file"])] = row

    def gain_db(self, name: str) -> object:
        """Return the recorded gain of a file, or None."""
        return self._rows.get(name, {}).get("gain_db")

    def save(self) -> None:
        if not self._rows:
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows[name] for name in sorted(self._rows))
        write_text(self.path, text.getvalue())
