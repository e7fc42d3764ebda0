"""Quick check: half a minute of training beats a linear model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc.configuration import RunConfig, TrainConfig
from desc.corpus import Corpus, open_corpus
from desc.demo.corpus import Piece, perform
from desc.demo.instruments import SAMPLE_RATE
from desc.descriptors.config import DescriptorConfig
from desc.evaluation.baselines import VAR_NOISE
from desc.evaluation.evaluate import evaluate
from desc.evaluation.settings import EvaluateConfig
from desc.scoring.scorer import REAL
from desc.storage import DescriptorStore
from desc.training.fit import train

pytestmark = pytest.mark.slow

LEARNED, HELD_OUT = 10, 3
DURATION_S = 60.0
EPOCHS = 14
ENSEMBLES = (("plucked", "flute"), ("strings", "bell"), ("flute", "strings"), ("bell", "plucked"))


def corpus_of(folder: Path, numbers: range, store: DescriptorStore) -> Corpus:
    folder.mkdir()
    for number in numbers:
        random = np.random.default_rng([11, number])
        players = ENSEMBLES[number % len(ENSEMBLES)]
        beat_s, root_hz = random.uniform(0.2, 0.4), 110 * 2 ** random.uniform(0, 1)
        piece = Piece(f"{number}.wav", players, float(beat_s), float(root_hz), DURATION_S)
        soundfile.write(folder / piece.source, perform(piece, random).T, SAMPLE_RATE)
    return open_corpus(folder, DescriptorConfig(), store, jobs=2)


def test_half_a_minute_of_training_is_ahead_of_a_linear_model(tmp_path: Path) -> None:
    store = DescriptorStore(tmp_path / "cache")
    learned = corpus_of(tmp_path / "learned", range(LEARNED), store)
    held_out = corpus_of(tmp_path / "held_out", range(LEARNED, LEARNED + HELD_OUT), store)
    record = train(
        learned,
        training=TrainConfig(epochs=EPOCHS, accelerator="cpu", realism_every_epochs=0),
        run=RunConfig(experiment_dir=str(tmp_path / "runs"), offline=True),
    )
    result = evaluate(
        record,
        held_out,
        EvaluateConfig(n_draws=4, sampling="plain"),
        training=learned,
        store=store,
        accelerator="cpu",
    )
    (table,) = result.tables
    of = {row.name: row.figures for row in table.rows}
    model, linear, real = table.rows[-1].figures, of[VAR_NOISE], of[REAL]
    assert model["skill"] > 0
    assert model["nll"] < linear["nll"] - 1
    assert model["fd"] < linear["fd"]
    assert model["c2st"] < linear["c2st"]
    assert 0.8 < model["tail_std"] < 1.35
    assert 0.9 < model["diff_ratio"] < 1.1
    assert 0.85 < model["spread"] < 1.15
    assert 0.5 * real["novelty"] < model["novelty"] < 1.5 * real["novelty"]
