"""A small corpus, and untrained models of all kinds, for streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from desc.configuration import ModelConfig, SelectionConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.matching import Matcher
from desc.models import create_model
from desc.models.statistics import fit_statistics
from desc.prediction import Predictor
from desc.storage import DescriptorStore

HOP = 1024
CONFIG = DescriptorConfig()


@dataclass(frozen=True)
class Stage:
    """A corpus, and what a stream over it needs."""

    root: Path
    store: DescriptorStore
    database: DescriptorDatabase
    player: np.ndarray
    made: dict[str, Predictor] = field(default_factory=dict)

    def predictor(self, name: str = "LSTM") -> Predictor:
        """An untrained model, made once."""
        if name not in self.made:
            self.made[name] = self._predictor(name)
        return self.made[name]

    def _predictor(self, name: str) -> Predictor:
        torch.manual_seed(0)
        sequences = open_corpus(self.root, CONFIG, self.store, jobs=1).sequences
        statistics = fit_statistics(list(sequences))
        sizes = {"hidden_size": 16, "num_layers": 1, "window_size": 32, "forecast_size": 16}
        config = ModelConfig(selected_model=name, context_size=32, **sizes)
        model = create_model(config, CONFIG, statistics)
        with torch.no_grad():
            model.head.linear.weight *= 5
        return Predictor.from_model(model)

    def matcher(self, predictor: Predictor, **selection: object) -> Matcher:
        settings = SelectionConfig(**({"selection": "causal"} | selection))
        return Matcher(self.database, predictor.standardizer, selection=settings)


@pytest.fixture(scope="session")
def stage(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Stage:
    """Three recordings, the second in stereo, the third compressed."""
    root = tmp_path_factory.mktemp("stage")
    (root / "sounds").mkdir()
    for seed, (name, duration_s) in enumerate({"a.wav": 6.0, "b.wav": 5.0, "c.flac": 5.0}.items()):
        signal = 0.5 * make_signal("notes", duration_s, seed=seed)
        sound = np.stack([signal, 0.7 * np.roll(signal, 99)], 1) if name == "b.wav" else signal
        soundfile.write(root / "sounds" / name, sound, 44100)
    store = DescriptorStore(root / "cache")
    corpus = open_corpus(root / "sounds", CONFIG, store, jobs=1)
    player = 0.5 * make_signal("notes", 4.0, seed=9)[: 140 * HOP]
    return Stage(root / "sounds", store, DescriptorDatabase.from_corpus(corpus, store), player)
