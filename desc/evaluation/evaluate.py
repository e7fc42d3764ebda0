"""Runs beside floors and peers on the same excerpts: all the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from desc.configuration import Note, Progress
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
from desc.evaluation.tables import MEAN, Evaluation, Row, Table
from desc.models.var import INNOVATION_BLOCK
from desc.prediction import differences
from desc.scoring.continuations import Continuations, continue_excerpts
from desc.scoring.excerpts import LONG_FACTOR, Excerpts, Protocol, cut_excerpts
from desc.scoring.scorer import Figures, Scorer
from desc.scoring.yardstick import Yardstick


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
    tables, notes = _excerpts(recordings, config, yardstick)
    notes += _notes(runs, training)
    if note is not None:
        for line in notes:
            note(line)
    used = [s for s in recordings if s.source in tables[0].sources]
    heard = (
        None if training is None else [yardstick.standardise(s.complete_static) for s in training]
    )
    one_step = _one_step(runs, used, yardstick, progress)
    steps = _Steps(progress, len(tables) * (N_BASELINES + len(runs) * config.seeds))
    results = []
    for excerpts in tables:
        scorer = Scorer(excerpts, yardstick, heard)
        rows = _rows(runs, scorer, config, one_step, steps)
        results.append(Table(excerpts, (*rows, *mean_rows(runs, rows))))
    rendered: tuple[Row, ...] = ()
    if config.rendered and sounds is not None:
        scorer = Scorer(tables[0], yardstick, heard)
        every = rendered_rows(runs, scorer, sounds, config, progress)
        rendered = tuple(Row(*row) for row in every)
    return Evaluation(tuple(results), yardstick, config, tuple(runs), tuple(notes), rendered)


def _excerpts(
    recordings: Sequence[DescriptorSequence], config: EvaluateConfig, yardstick: Yardstick
) -> tuple[list[Excerpts], list[str]]:
    """Cut the excerpts of each table; return them, and notes on what is left out."""
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
    return tables, notes


class _Steps:
    """Counts what is done of an evaluation, and tells."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress = progress
        self.total = total
        self.done = 0

    def add(self, n: int) -> None:
        """Count n more continuations or peers."""
        self.done += n
        if self.progress is not None:
            self.progress("evaluate", min(self.done, self.total), self.total)


def _rows(
    runs: Sequence[Candidate],
    scorer: Scorer,
    config: EvaluateConfig,
    one_step: dict[str, Figures],
    steps: _Steps,
) -> list[Row]:
    """Return the rows of one table: floors and peers, then the runs."""
    rows: list[Row] = []
    peers = baselines(
        scorer.excerpts, scorer.yardstick, scorer.training or [], config.n_draws, config.seed
    )
    for peer in peers:
        figures = one_step.get(peer.name, {}) | scorer.score(peer)
        rows.append(Row(peer.name, peer.kind, figures, peer.samples[0].copy()))
        steps.add(1)
    steps.add(N_BASELINES - len(rows))  # those that need what is not there
    for run in runs:
        row = _run_row(run, scorer, config, steps.progress)
        rows.append(replace(row, figures=one_step[run.name] | row.figures))
        steps.add(config.seeds)
    return rows


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
    point = config.is_mean
    each, example = [], None
    for seed in range(config.seed, config.seed + config.seeds):
        drawn = scorer.yardstick.standardise(
            continue_excerpts(
                run.model,
                scorer.excerpts,
                replace(config, seed=seed).one_draw(),
                n_draws=1 if point else config.n_draws,
                progress=progress,
            )
        )
        example = drawn[0].copy() if example is None else example
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
