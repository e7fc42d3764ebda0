"""The public names of `desc`: documented, importable on use, with short reprs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import desc


@pytest.mark.parametrize("name", desc.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(desc, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name
        assert len(inspect.getdoc(value) or "") > 10
    else:
        assert value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: desc.train("recordings/"), "corpus must be a Corpus, not a str"),  # type: ignore[arg-type]
        (lambda: desc.Matcher("sounds/"), "database must be a DescriptorDatabase, not a str"),  # type: ignore[arg-type]
        (lambda: desc.render("playlist.json"), "playlist must be a Playlist, not a str"),  # type: ignore[arg-type]
        (lambda: desc.DescriptorConfig(descriptors="rms"), "'rms' must be a tuple of names"),  # type: ignore[arg-type]
    ],
)
def test_an_argument_of_another_class_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(desc.DescError, match=message):
        call()


def test_the_public_names_are_listed_in_order() -> None:
    assert desc.__all__ == sorted(desc.__all__)
    assert set(dir(desc)) == {"__version__", *desc.__all__}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = desc.nothing


def sequence() -> object:
    values = np.zeros((5000, 51), np.float32)
    return desc.DescriptorSequence(values, desc.DescriptorConfig(), "a.wav", "00", 5000 * 1024)


def record(folder: Path) -> object:
    return desc.RunRecord(
        run_id=folder.name,
        folder=folder,
        descriptor_config=desc.DescriptorConfig(),
        model_config=desc.ModelConfig(),
        train_config=desc.TrainConfig(),
        training_files={f"{i:032x}": f"strings/{i}.wav" for i in range(1000)},
        metrics={"val_loss": 12.5},
    )


@pytest.mark.parametrize(
    "make",
    [
        sequence,
        lambda: record(Path("experiments/descriptor_model/1t212ycn")),
        desc.Sampling,
        desc.DescriptorConfig,
        desc.QueryConfig,
        lambda: desc.AudioClip(np.zeros((44100, 2)), 44100),
        lambda: desc.DescError("a.wav: no audio"),
    ],
)
def test_reprs_are_short(make: Callable[[], object]) -> None:
    assert len(repr(make())) < 300


def test_the_repr_of_a_run_says_what_it_is() -> None:
    text = "RunRecord(1t212ycn: LSTM, finished, 1000 training files, val_loss 12.500, r/1t212ycn)"
    assert repr(record(Path("r/1t212ycn"))) == text
