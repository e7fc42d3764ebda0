"""A result whose files have names that break pages, and a browser to look at it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from desc import outputs
from desc.concatenation import render_to_file
from desc.configuration import RenderConfig, Sampling, SelectionConfig
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.descriptors.standardizer import Standardizer
from desc.matching import Matcher
from desc.prediction import Prediction
from desc.report import ReportData
from desc.storage import DescriptorStore

HOSTILE = '<script>alert(1)</script>&"$x^{$_.wav'  # a file in a folder whose name ends in <
N_FRAMES = 60


def write_result(
    folder: Path, root: Path, rendering: RenderConfig = RenderConfig(), n_frames: int = N_FRAMES
) -> Path:
    """Write the files of a result below `folder`: a recording matched with the sounds of `root`."""
    config, store = DescriptorConfig(), DescriptorStore(root / "cache")
    sounds = open_corpus(root / "sounds", config, store, jobs=1, exclude=["absent/*", "b c.wav"])
    recordings = open_corpus(root / "recordings", config, store, jobs=1)
    (sequence,) = recordings.sequences
    database = DescriptorDatabase.from_corpus(sounds, store)
    standardizer = Standardizer.fit([sequence.values], config)
    wanted = np.resize(sequence.values[20:80], (n_frames, config.n_columns))
    prediction = Prediction(
        values=wanted,
        source=sequence.source,
        digest=sequence.digest,
        first_frame=sequence.complete.stop,
        config=config,
        sampling=Sampling(),
        standardizer=standardizer,
        run_id="abcd1234",
        model_name="LSTM",
        checkpoint_digest="0" * 32,
    )
    nearest = SelectionConfig("nearest", unit_gain_db=0.0)
    match = Matcher(database, selection=nearest, rendering=rendering).match(prediction)
    playlist = match.playlist.after_recording(
        sequence.source,
        sequence.digest,
        recordings.root,
        context_end_frame=prediction.context_end_frame,
        hop_length=config.hop_length,
        rendering=rendering,
    )
    rendered = render_to_file(playlist, folder / outputs.WAV, store=store, rendering=rendering)
    outputs.write_matches(folder, match)
    outputs.write_credits(folder, playlist)
    playlist.save(folder / outputs.PLAYLIST)
    path = recordings.path(sequence.source)
    ReportData.gather(prediction, match, sequence, path).save(folder / outputs.REPORT_DATA)
    figures = outputs.match_figures(match) | outputs.sound_figures(rendered)
    request = {
        "run_id": prediction.run_id,
        "recording": sequence.source,
        "seed": 3,
        "speeds": [0.9, 1.1],
        "descriptors": {"hop_length": config.hop_length, "sample_rate": config.sample_rate},
    }
    meta = {"request": request, "versions": {"desc": "0"}, "results": figures}
    meta["inputs"] = sounds.inputs
    outputs.write_prediction(folder, prediction, meta)
    return folder


@pytest.fixture(scope="session")
def sound_root(
    tmp_path_factory: pytest.TempPathFactory, make_signal: Callable[..., np.ndarray]
) -> Path:
    """A recording and two sounds, one of each with a hostile name."""
    root = tmp_path_factory.mktemp("report")
    for folder in ("recordings", "sounds"):
        (root / folder / HOSTILE).parent.mkdir(parents=True)
    soundfile.write(root / "recordings" / HOSTILE, make_signal("notes", 12.0, seed=1), 44100)
    stereo = np.stack([make_signal("notes", 8.0, seed=s) for s in (2, 3)], 1)
    soundfile.write(root / "sounds" / HOSTILE, stereo, 44100)
    soundfile.write(root / "sounds" / "plain.flac", make_signal("notes", 8.0, seed=4), 44100)
    return root


@pytest.fixture(scope="session")
def result(sound_root: Path) -> Path:
    """The folder of a result; tests that change it copy it first."""
    return write_result(sound_root / "result", sound_root)
