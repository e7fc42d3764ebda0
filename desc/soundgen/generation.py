"""Many files of new sound: every generator with every vocoder, restartable, with a manifest."""

from __future__ import annotations

import csv
import io
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from desc.audio import AudioWriter, probe, read, write_scaled
from desc.configuration import Note, Progress, RunConfig
from desc.errors import AudioError, ConfigurationError, OutputError
from desc.files import write_text
from desc.soundgen.mel import check_same_mel
from desc.soundgen.mel_generator import MelGenerator
from desc.soundgen.settings import GenerateConfig
from desc.soundgen.vocoder import Vocoder

MANIFEST = "manifest.csv"
COLUMNS = (
    "file", "unagan_run_id", "vocoder_run_id", "vocoder", "seed", "duration_s", "sample_rate",
    "channels", "gain_db", "sources",
)  # fmt: skip
EXTRA_FRAMES = 10  # made behind the end and cut off: networks click where a spectrogram ends
FADE_S = 0.005  # at both ends of a file
MANIFEST_INTERVAL = 50  # files between two writings of the manifest


@dataclass(frozen=True)
class Planned:
    """One file to write.

    Attributes
    ----------
    name : str
        Its name below the output folder.
    seed : int
        Of its noise: that of the job plus its number.
    """

    name: str
    generator: MelGenerator
    vocoder: Vocoder
    seed: int


@dataclass(frozen=True)
class Generated:
    """What a job has done.

    Attributes
    ----------
    folder : Path
    written, kept : tuple of str
        Names of the files made now, and of those that were there.
    seed : int
        The first file's.
    """

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    seed: int


def generate(
    generators: Sequence[MelGenerator],
    vocoders: Sequence[Vocoder | None],
    output_dir: str | Path,
    config: GenerateConfig = GenerateConfig(),
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Generated:
    """Write `num_samples` files for each generator and each vocoder.

    A file that is there is kept, so an interrupted job goes on where it was. The same settings
    give the same bytes. A file that would go beyond full scale is turned down as a whole; the
    manifest tells by how much.

    Parameters
    ----------
    generators : sequence of MelGenerator
    vocoders : sequence of Vocoder or None
        None stands for Griffin-Lim.
    output_dir : path
        Gets the files and `manifest.csv`.
    config : GenerateConfig
    overwrite : bool
        Write files anew that are there with another length.
    progress : callable, optional
        Called as progress("generate", done, total).
    note : callable, optional
        Gets a line with the seed where it was drawn.

    Raises
    ------
    CheckpointError
        If a generator and a vocoder do not mean the same by a spectrogram.
    OutputError
        If a file is there with another length.
    """
    seed = secrets.randbelow(1 << 31) if config.randomize_seed else config.seed
    if config.randomize_seed and note is not None:
        note(f"the seed is {seed}; --seed {seed} makes the same files")
    planned = plan(generators, vocoders, config, seed)
    folder = Path(output_dir)
    manifest = _Manifest(folder / MANIFEST)
    written: list[str] = []
    kept: list[str] = []
    try:
        for index, job in enumerate(planned):
            n_samples = round(config.duration_s * job.generator.mel.sample_rate)
            path = folder / job.name
            if _is_there(path, n_samples, overwrite):
                entry = manifest.gain_of(job.name)
                kept.append(job.name)
            else:
                rate = job.generator.mel.sample_rate
                blocks = (piece.numpy() for piece in render(job, n_samples))
                _, gain = write_scaled(blocks, path, rate, 1, config.subtype)
                entry = {"gain_db": round(20 * math.log10(gain), 2)}
                written.append(job.name)
            manifest.add(_row(job, config) | entry)
            if len(written) % MANIFEST_INTERVAL == MANIFEST_INTERVAL - 1:
                manifest.save()
            if progress is not None:
                progress("generate", index + 1, len(planned))
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
    """Return all files of a job; pairs that do not fit are refused before any is written."""
    planned = []
    for generator in generators:
        for given in vocoders:
            vocoder = given or Vocoder.griffin_lim(generator.mel)
            names = (f"UnaGAN {generator.name}", f"vocoder {vocoder.name}")
            check_same_mel(generator.mel, vocoder.mel, names)
            for index in range(config.num_samples):
                name = f"{generator.name}_{vocoder.name}_seed{seed}_{index:05}.wav"
                planned.append(Planned(name, generator, vocoder, seed + index))
    return planned


def render(job: Planned, n_samples: int) -> Iterator[Tensor]:
    """Yield the sound of a file in pieces, in all `n_samples` samples; full scale is 1."""
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


def _is_there(path: Path, n_samples: int, overwrite: bool) -> bool:
    """Whether a file needs no writing.

    Raises
    ------
    OutputError
        If there is one of another length, or one that is no sound.
    """
    if not path.exists():
        return False
    try:
        found = probe(path).n_samples
    except AudioError:
        found = -1
    if found == n_samples:
        return True
    if overwrite:
        return False
    what = "is no sound" if found < 0 else f"has {found} samples, not {n_samples}"
    raise OutputError(f"{path}: {what}; choose another --output_dir, or give --overwrite")


def _row(job: Planned, config: GenerateConfig) -> dict[str, object]:
    return {
        "file": job.name,
        "unagan_run_id": job.generator.name,
        "vocoder_run_id": job.vocoder.name,
        "vocoder": job.vocoder.kind,
        "seed": job.seed,
        "duration_s": config.duration_s,
        "sample_rate": job.generator.mel.sample_rate,
        "channels": 1,
    }


def _merge(
    folder: Path, names: list[str], config: GenerateConfig, seed: int, manifest: _Manifest
) -> list[str]:
    """Put several files side by side as the channels of one, as often as asked for."""
    rng = np.random.default_rng(seed)
    k = config.channel_per_merge
    written = []
    rates = {name: probe(folder / name).sample_rate for name in names}
    for index in range(config.num_combine_audio):
        chosen = [names[i] for i in rng.choice(len(names), k, replace=len(names) < k)]
        if len({rates[name] for name in chosen}) > 1:
            raise OutputError(f"{folder}: files of different rates cannot be channels of one")
        name = f"merged_{k}ch_seed{seed}_{index:05}.wav"
        channels = np.concatenate([read(folder / one) for one in chosen])
        with AudioWriter(folder / name, rates[chosen[0]], k, config.subtype) as writer:
            writer.write(channels)
        written.append(name)
        manifest.add(
            {
                "file": name, "seed": seed, "duration_s": config.duration_s, "channels": k,
                "sample_rate": rates[chosen[0]], "sources": " ".join(chosen),
            }
        )  # fmt: skip
    return written


class _Manifest:
    """`manifest.csv`: one row per file; rows of earlier jobs stay."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, dict[str, object]] = {}
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as stream:
                self._rows = {str(row["file"]): dict(row) for row in csv.DictReader(stream)}

    def add(self, row: dict[str, object]) -> None:
        self._rows[str(row["file"])] = row

    def gain_of(self, name: str) -> dict[str, object]:
        """Return the entry of the gain with which a file was written, if it is known."""
        return {k: v for k, v in self._rows.get(name, {}).items() if k == "gain_db"}

    def save(self) -> None:
        if not self._rows:
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows[name] for name in sorted(self._rows))
        write_text(self.path, text.getvalue())


def generate_from_runs(
    unagan_run_id: str,
    output_dir: str | Path,
    *,
    melgan_run_id: str | None = None,
    hifigan_run_id: str | None = None,
    config: GenerateConfig = GenerateConfig(),
    run: RunConfig = RunConfig(),
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Generated:
    """Write files of new sound with networks named by their runs; see `generation.generate`.

    Parameters
    ----------
    unagan_run_id : str
        Runs of generators of spectrograms, separated by commas; each goes with each vocoder.
    output_dir : path
        Gets the files and `manifest.csv`.
    melgan_run_id : str, optional
        Runs of vocoders, or paths of published generators, separated by commas.
    hifigan_run_id : str, optional
        Paths of published HiFi-GAN generators, instead. Without either Griffin-Lim is used.
    config : GenerateConfig
    run : RunConfig
        Where to look; the projects are unagan, melgan and hifi-gan.
    overwrite, progress, note
        See `generation.generate`.

    Raises
    ------
    ConfigurationError
        If both kinds of vocoders are named, or a list is empty.
    DescError
        As `generation.generate`, `MelGenerator.from_run` and `Vocoder.from_run`.
    """
    if melgan_run_id is not None and hifigan_run_id is not None:
        raise ConfigurationError("give melgan_run_id or hifigan_run_id, not both")
    of_mels = replace(run, project="unagan")
    generators = [
        MelGenerator.from_run(name, of_mels) for name in _listed("unagan_run_id", unagan_run_id)
    ]
    vocoders: list[Vocoder | None] = [None]
    for option, project, names in (
        ("melgan_run_id", "melgan", melgan_run_id),
        ("hifigan_run_id", "hifi-gan", hifigan_run_id),
    ):
        if names is not None:
            of_sound = replace(run, project=project)
            vocoders = [Vocoder.from_run(n, of_sound) for n in _listed(option, names)]
    return generate(
        generators, vocoders, output_dir, config, overwrite=overwrite, progress=progress, note=note
    )


def _listed(name: str, text: str) -> list[str]:
    """Return the parts of a comma-separated list."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationError(f"{name}={text!r} must name a run")
    return parts
