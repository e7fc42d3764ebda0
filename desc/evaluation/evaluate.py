"""Evaluation of runs beside references and baselines on the same excerpts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from desc import progress
from desc.configuration import RunConfig, check
from desc.corpus import Corpus, open_corpus
from desc.corpus.ending import until_music_end
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.sequence import DescriptorSequence
from desc.errors import CorpusError
from desc.evaluation.baselines import N_BASELINES, VAR_REPLAY, baselines
from desc.evaluation.candidates import Candidate, check_comparable, one_step_figures
from desc.evaluation.leakage import check_leakage, find_training_recordings
from desc.evaluation.originals import Example
from desc.evaluation.rendered import rendered_rows
from desc.evaluation.settings import EvaluateConfig
from desc.evaluation.tables import MEAN, Evaluation, Row, Table
from desc.metrics.musicnn import Tagger
from desc.metrics.realism import LEAST_TRACKS
from desc.models.var import INNOVATION_BLOCK
from desc.runs import RunRecord, resolve_run
from desc.scoring.excerpts import (
    Continuations,
    Excerpts,
    Protocol,
    continue_excerpts,
    cut_excerpts,
)
from desc.scoring.reference_scales import ReferenceScales
from desc.scoring.scorer import Figures, Scorer, mean_figures
from desc.storage import DescriptorStore

LONG_FACTOR = 4  # 2048 frames after contexts of 512
Run = str | Path | RunRecord
Recordings = str | Path | Corpus


def evaluate(
    runs: Run | Sequence[Run],
    recordings: Recordings,
    settings: EvaluateConfig = EvaluateConfig(),
    *,
    training: Recordings | None = None,
    sounds: DescriptorDatabase | None = None,
    judge: str | Path | None = None,
    run: RunConfig = RunConfig(),
    store: DescriptorStore | None = None,
    accelerator: str = "auto",
) -> Evaluation:
    """Evaluate runs on recordings they were not trained on.

    Parameters
    ----------
    runs : str, path, RunRecord or sequence of these
        Run ids, folders of runs, or records. The first run's training recordings define the units
        and the linear baseline.
    recordings : path or Corpus
        Held-out recordings.
    settings : EvaluateConfig
    training : path or Corpus, optional
        The recordings the runs were trained on, needed only where the cache lacks their
        descriptors. Without them novelty, other music and nearest neighbours are left out.
    sounds : DescriptorDatabase, optional
        Sounds; if given, a draw for each excerpt is also rendered with them and evaluated.
    judge : path, optional
        The file `musicnn-0.1.0-py3-none-any.whl`, whose music tagger then judges rendered sound.
    run : RunConfig
        Where run ids are looked up.
    store : DescriptorStore, optional
        The cache; by default the default cache.
    accelerator : str
        auto, cpu, cuda (or gpu) or mps.

    Returns
    -------
    Evaluation
        `print` it for the tables; `to_dataframe` and `to_dict` return the numbers.

    Raises
    ------
    RunNotFoundError
        If a run is unknown.
    ConfigurationError
        If the runs use different descriptors, or there is a judge and no sound.
    CorpusError
        If no recording is long enough, or a run was trained or validated on one.
    CheckpointError
        If a checkpoint, the first run's statistics or the judge are missing or damaged.

    Examples
    --------
    >>> import desc
    >>> result = desc.evaluate("8f3kq0zd", "held_out/")  # doctest: +SKIP
    >>> print(result)  # doctest: +SKIP
    """
    check(judge is None or sounds is not None, "judge", judge, "come with sounds to render with")
    tagger = None if judge is None else Tagger.load(judge)
    store = store or DescriptorStore()
    named = [runs] if isinstance(runs, (str, Path, RunRecord)) else runs
    records = [
        given
        if isinstance(given, RunRecord)
        else resolve_run(str(given), run, store.cache_dir / "runs")
        for given in named
    ]
    check_comparable(records)
    config = records[0].descriptor_config
    corpus = _opened(recordings, config, store)
    if sounds is not None:
        corpus = corpus.with_sound()
    if not settings.allow_training_files:
        check_leakage(records, corpus.sequences)
    folder = None if training is None else _opened(training, config, store)
    known = find_training_recordings(records, store, folder)
    candidates = [Candidate.load(record, accelerator) for record in records]
    scales = ReferenceScales.from_run(records[0], candidates[0].model.statistics)
    learned = None if known is None else [scales.standardise(s.complete_static) for s in known]
    music = [until_music_end(s, corpus.path(s.source)) for s in corpus.sequences]
    excerpts, notes = _excerpts(music, settings, scales)
    notes += _notes(records, learned is not None)
    scorers = [Scorer(each, scales, learned) for each in excerpts]
    tables = _tables(candidates, scorers, music, settings)
    rendered: tuple[Row, ...] = ()
    examples: tuple[Example, ...] = ()
    if sounds is not None:
        rendered, examples = rendered_rows(
            candidates,
            scorers[0],
            settings,
            peer=next(row for row in tables[0].rows if row.name == VAR_REPLAY),
            recordings=corpus,
            sounds=sounds,
            store=store,
            tagger=tagger,
        )
    found = tuple(candidates), tuple(notes), rendered, examples
    return Evaluation(tables, scales, settings, *found)


def _opened(recordings: Recordings, config: DescriptorConfig, store: DescriptorStore) -> Corpus:
    if isinstance(recordings, Corpus):
        return recordings
    return open_corpus(recordings, config, store)


def _excerpts(
    recordings: Sequence[DescriptorSequence], settings: EvaluateConfig, scales: ReferenceScales
) -> tuple[list[Excerpts], list[str]]:
    """Cut the excerpts of each table; return them, and notes on recordings left out."""
    frames = settings.excerpt_frames
    short = Protocol("short", frames, frames, settings.excerpts)
    excerpts = [cut_excerpts(recordings, short, scales)]
    notes = []
    if excerpts[0].left_out:
        listed = "; ".join(f"{source}: {why}" for source, why in excerpts[0].left_out.items())
        notes.append(f"left out: {listed}")
    if len(excerpts[0].sources) < LEAST_TRACKS:
        notes.append(f"FD has no standard error with fewer than {LEAST_TRACKS} recordings")
    if settings.long:
        # Half as many places, so that longer continuations do not take four times as long.
        fewer = Protocol("long", frames, LONG_FACTOR * frames, max(1, settings.excerpts // 2))
        try:
            excerpts.append(cut_excerpts(recordings, fewer, scales))
        except CorpusError as error:
            notes.append(f"long continuations are left out: {error}")
    return excerpts, notes


def _tables(
    runs: Sequence[Candidate],
    scorers: Sequence[Scorer],
    recordings: Sequence[DescriptorSequence],
    settings: EvaluateConfig,
) -> tuple[Table, ...]:
    """Score references, baselines and runs on the excerpts of each scorer."""
    used = [s for s in recordings if s.source in scorers[0].excerpts.sources]
    one_step = one_step_figures(runs, used, scorers[0].scales)
    n_rows = N_BASELINES + len(runs)
    tables = []
    for i, scorer in enumerate(scorers):
        rows: list[Row] = []
        for row in _rows(runs, scorer, settings):
            rows.append(replace(row, figures=one_step.get(row.name, {}) | row.figures))
            progress.report("evaluate", i * n_rows + len(rows), len(scorers) * n_rows)
        tables.append(Table(scorer.excerpts, (*rows, *mean_rows(runs, rows))))
    progress.report("evaluate", len(scorers) * n_rows, len(scorers) * n_rows)
    return tuple(tables)


def _rows(runs: Sequence[Candidate], scorer: Scorer, settings: EvaluateConfig) -> Iterator[Row]:
    """Yield the rows of a table: references and baselines, then the runs."""
    training = scorer.training or []
    for each in baselines(
        scorer.excerpts, scorer.scales, training, settings.n_draws, settings.seed
    ):
        yield Row(each.name, each.kind, scorer.score(each), each.draws[0].copy())
    for run in runs:
        yield _run_row(run, scorer, settings)


def _run_row(run: Candidate, scorer: Scorer, settings: EvaluateConfig) -> Row:
    """Draw and score a run's continuations, once per seed."""
    examples, each = [], []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        values = continue_excerpts(
            run.model,
            scorer.excerpts,
            replace(settings, seed=seed).one_draw(),
            n_draws=1 if settings.is_mean else settings.n_draws,
        )
        draws = scorer.scales.standardise(values)
        examples.append(draws[0].copy())
        forecast = "point" if settings.is_mean else "draws"
        each.append(scorer.score(Continuations(run.name, "run", draws, forecast)))
    return Row(run.name, "run", mean_figures(each), examples[0], tuple(each))


def mean_rows(runs: Sequence[Candidate], rows: Sequence[Row]) -> list[Row]:
    """Average groups of two or more runs that differ only in their seed."""
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
        each: tuple[Figures, ...] = tuple(of_run[run.name].figures for run in group)
        name = f"mean of {len(group)} {group[0].model.model_config.selected_model}"
        result.append(Row(name, MEAN, mean_figures(each), of_run[group[0].name].example, each))
    return result


def _notes(records: Sequence[RunRecord], training_known: bool) -> list[str]:
    """Return remarks on the runs and the baselines."""
    notes = [
        f"VAR, replay: innovations in blocks of {INNOVATION_BLOCK} frames, in phase with the pulse"
    ]
    if not training_known:
        notes.append(
            "novelty, other music and nearest neighbours are left out: the training recordings "
            "are missing (--training_db_dir)"
        )
    first = records[0]
    notes += [
        f"run {record.run_id} was trained on different recordings than {first.run_id}, which "
        "defines the units and the linear baseline"
        for record in records[1:]
        if set(record.training_files) != set(first.training_files)
    ]
    notes += [
        f"run {record.run_id} is still training; its best checkpoint so far is used"
        for record in records
        if record.state == "running"
    ]
    return notes
