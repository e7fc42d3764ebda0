"""Runs beside floors and peers on the same excerpts: all the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from desc.configuration import Note, Progress, to_dict
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import ConfigurationError, CorpusError
from desc.evaluation.baselines import N_BASELINES, VAR_NOISE, VAR_REPLAY, baselines
from desc.evaluation.candidates import (
    Candidate,
    model_nll,
    model_skill,
    var_nll,
    var_skill,
)
from desc.evaluation.rendered import Sounds, rendered_rows
from desc.evaluation.settings import EvaluateConfig
from desc.models.var import INNOVATION_BLOCK
from desc.prediction import differences
from desc.runs.record import now, versions
from desc.scoring.continuations import Continuations, continue_excerpts
from desc.scoring.excerpts import LONG_FACTOR, Excerpts, Protocol, cut_excerpts
from desc.scoring.scorer import Figures, Scorer
from desc.scoring.yardstick import Yardstick

Array = npt.NDArray[np.float64]

FORMAT, VERSION = "desc-evaluation", 1
MEAN = "mean"


@dataclass(frozen=True, eq=False)
class Row:
    """One line of a table.

    Attributes
    ----------
    name : str
    kind : str
        floor, peer, run or mean (of runs that differ in their seed).
    figures : dict of str to float
        Means over seeds; NaN where a metric means nothing.
    seeds : tuple of dict
        The figures of each seed of the draws; of a mean those of each run.
    example : ndarray, (E, T, F)
        The first sample, standardised.
    """

    name: str
    kind: str
    figures: Figures
    example: Array
    seeds: tuple[Figures, ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one protocol: floors, peers, runs."""

    excerpts: Excerpts
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of `evaluate`.

    Attributes
    ----------
    tables : tuple of Table
        For continuations as long as their contexts; with `long` also for longer ones.
    rendered : tuple of Row
        Of continuations as long as their contexts, asked for and heard; empty unless rendered.
    yardstick : Yardstick
    config : EvaluateConfig
    runs : tuple of Candidate
    notes : tuple of str
        What a reader of the figures must know.
    """

    tables: tuple[Table, ...]
    yardstick: Yardstick
    config: EvaluateConfig
    runs: tuple[Candidate, ...]
    notes: tuple[str, ...] = field(default=())
    rendered: tuple[Row, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays as JSON values; what is no number becomes null."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "created": now(),
            "versions": versions(),
            "settings": to_dict(self.config),
            "runs": [
                {"run_id": run.run_id, "name": run.name, "model": to_dict(run.model.model_config)}
                for run in self.runs
            ],
            "notes": list(self.notes),
            "tables": [_table(table) for table in self.tables],
            "rendered": [_row(row) for row in self.rendered],
        }


def _table(table: Table) -> dict[str, Any]:
    excerpts = table.excerpts
    places = zip(excerpts.tracks, excerpts.positions, strict=True)
    return {
        "context_frames": excerpts.protocol.context,
        "steps": excerpts.protocol.steps,
        "excerpts": [{"source": excerpts.sources[t], "frame": int(p)} for t, p in places],
        "left_out": excerpts.left_out,
        "rows": [_row(row) for row in table.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "figures": _finite(row.figures),
        "seeds": [_finite(figures) for figures in row.seeds],
    }


def _finite(figures: Figures) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in figures.items()}


def check_comparable(runs: Sequence[Candidate]) -> None:
    """Refuse runs whose descriptors cannot stand in one table.

    Raises
    ------
    ConfigurationError
        If their settings of extraction differ, or a run is named twice.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.model.descriptor_config != first.model.descriptor_config:
            differing = differences(run.model.descriptor_config, first.model.descriptor_config)
            raise ConfigurationError(
                f"runs {run.run_id} and {first.run_id} describe music differently ({differing}): "
                "evaluate them apart"
            )
    ids = [run.run_id for run in runs]
    for run_id in dict.fromkeys(ids):
        if ids.count(run_id) > 1:
            raise ConfigurationError(f"run_id={run_id!r} must be named once")


def evaluate(
    runs: Sequence[Candidate],
    recordings: Sequence[DescriptorSequence],
    config: EvaluateConfig,
    *,
    training: Sequence[DescriptorSequence] | None = None,
    sounds: Sounds | None = None,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Evaluation:
    """Measure runs on recordings they have not heard.

    Parameters
    ----------
    runs : sequence of Candidate
        At least one. The first one's training recordings give the units and the linear peer.
    recordings : sequence of DescriptorSequence
        Extracted with the runs' settings.
    config : EvaluateConfig
    training : sequence of DescriptorSequence, optional
        Everything the runs learned from; without it novelty, other music and nearest neighbours
        are left out.
    sounds : Sounds, optional
        Needed to judge what is heard, where `config` asks for that.
    progress, note : callable, optional
        See `desc.configuration`.

    Raises
    ------
    ConfigurationError
        If the runs are not comparable.
    CorpusError
        If no recording is long enough.
    CheckpointError
        If the first run's statistics are missing.
    """
    check_comparable(runs)
    if config.rendered and sounds is None:
        raise ConfigurationError("rendered needs sounds to render with (sample_audio_db_dir)")
    first = runs[0]
    yardstick = Yardstick.from_run(first.record, first.model.statistics)
    frames = config.excerpt_frames
    short = Protocol("short", frames, frames, config.excerpts)
    tables = [cut_excerpts(recordings, short, yardstick)]
    notes = [_left_out(tables[0])] if tables[0].left_out else []
    if config.long:
        # Longer continuations of fewer places: as many frames are judged, at half the number.
        fewer = Protocol("long", frames, LONG_FACTOR * frames, max(1, config.excerpts // 2))
        try:
            tables.append(cut_excerpts(recordings, fewer, yardstick))
        except CorpusError as error:
            notes.append(f"long continuations are left out: {error}")
    notes += _notes(runs, training)
    if note is not None:
        for line in notes:
            note(line)
    used = [s for s in recordings if s.source in tables[0].sources]
    heard = (
        None if training is None else [yardstick.standardise(s.complete_static) for s in training]
    )
    one_step = _one_step(runs, used, yardstick, progress)
    total = len(tables) * (N_BASELINES + len(runs) * config.seeds)
    results, done = [], 0
    for excerpts in tables:
        scorer = Scorer(excerpts, yardstick, heard)
        rows: list[Row] = []
        for peer in baselines(excerpts, yardstick, heard or [], config.n_samples, config.seed):
            figures = one_step.get(peer.name, {}) | scorer.score(peer)
            rows.append(Row(peer.name, peer.kind, figures, peer.samples[0]))
            _tell(progress, done + len(rows), total)
        done += N_BASELINES
        for run in runs:
            row = _run_row(run, scorer, config, progress)
            rows.append(replace(row, figures=one_step[run.name] | row.figures))
            done += config.seeds
            _tell(progress, done, total)
        results.append(Table(excerpts, (*rows, *mean_rows(runs, rows))))
    rendered: tuple[Row, ...] = ()
    if config.rendered and sounds is not None:
        scorer = Scorer(tables[0], yardstick, heard)
        every = rendered_rows(runs, scorer, sounds, config, progress)
        rendered = tuple(Row(*row) for row in every)
    return Evaluation(tuple(results), yardstick, config, tuple(runs), tuple(notes), rendered)


def mean_rows(runs: Sequence[Candidate], rows: Sequence[Row]) -> list[Row]:
    """Return the means of runs that differ in nothing but their seed, of two runs on."""
    of_run = {row.name: row for row in rows}
    groups: dict[object, list[Candidate]] = {}
    for run in runs:
        training = replace(run.record.train_config, seed=0, notes="", max_time_s=None)
        files = frozenset(run.record.training_files)
        groups.setdefault((run.model.model_config, training, files), []).append(run)
    result = []
    for group in groups.values():
        if len(group) == 1:
            continue
        each = tuple(of_run[run.name].figures for run in group)
        figures = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        name = f"mean of {len(group)} {group[0].model.model_config.selected_model}"
        result.append(Row(name, MEAN, figures, of_run[group[0].name].example, each))
    return result


def _run_row(
    run: Candidate, scorer: Scorer, config: EvaluateConfig, progress: Progress | None
) -> Row:
    """Draw and score a run's continuations, once per seed."""
    point = config.sampling == "mean" or config.temperature == 0
    each, example = [], None
    for seed in range(config.seed, config.seed + config.seeds):
        drawn = scorer.yardstick.standardise(
            continue_excerpts(
                run.model,
                scorer.excerpts,
                n_samples=1 if point else config.n_samples,
                seed=seed,
                sampling=config.sampling,
                temperature=config.temperature,
                replay_block=config.replay_block,
                progress=progress,
            )
        )
        example = drawn[0] if example is None else example
        forecast = "point" if point else "samples"
        each.append(scorer.score(Continuations(run.name, "run", drawn, forecast)))
    assert example is not None
    means = {name: float(np.mean([figures[name] for figures in each])) for name in each[0]}
    return Row(run.name, "run", means, example, tuple(each))


def _one_step(
    runs: Sequence[Candidate],
    recordings: Sequence[DescriptorSequence],
    yardstick: Yardstick,
    progress: Progress | None,
) -> dict[str, Figures]:
    """Return skill and NLL of the runs and of the linear peer, by name of the row."""
    linear = {
        "skill": var_skill(recordings, yardstick),
        "nll": var_nll(runs[0], recordings, yardstick),
    }
    # Both linear peers have the same one-step mean; the density is that of the one with noise.
    figures = {VAR_NOISE: linear, VAR_REPLAY: {"skill": linear["skill"]}}
    figures["persistence"] = {"skill": 0.0}
    for i, run in enumerate(runs):
        figures[run.name] = {
            "skill": model_skill(run, recordings, yardstick),
            "nll": model_nll(run, recordings, yardstick),
        }
        if progress is not None:
            progress("one step", i + 1, len(runs))
    return figures


def _notes(
    runs: Sequence[Candidate], training: Sequence[DescriptorSequence] | None
) -> list[str]:  # fmt: skip
    notes = [f"VAR, replay: innovations in blocks of {INNOVATION_BLOCK} frames"]
    if training is None:
        notes.append(
            "novelty, other music and nearest neighbours are left out: training recordings are "
            "missing (--training_db_dir)"
        )
    first = runs[0]
    notes += [
        f"run {run.run_id} learned from other recordings than {first.run_id}, whose units and "
        "linear peer are used"
        for run in runs[1:]
        if set(run.record.training_files) != set(first.record.training_files)
    ]
    notes += [
        f"run {run.run_id} is still running: its best checkpoint so far is used"
        for run in runs
        if run.record.status == "running"
    ]
    return notes


def _left_out(excerpts: Excerpts) -> str:
    listed = "; ".join(f"{source}: {reason}" for source, reason in excerpts.left_out.items())
    return f"left out: {listed}"


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("evaluate", min(done, total), total)
