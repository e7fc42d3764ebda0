"""Files that a stream plays, chosen by patterns."""

from __future__ import annotations

import numpy as np
import pytest

from desc.database import DescriptorDatabase
from desc.descriptors.sequence import DescriptorSequence
from desc.live.sounds import LiveSounds
from desc.matching import Matcher
from tests.live.conftest import CONFIG, Stage

NAMES = ("-.wav", "[d]*.wav", "a.wav", "d.wav", "sub/a.wav", "sub/b.wav")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), NAMES),
        (("a.wav",), ["a.wav"]),  # not sub/a.wav
        (("sub/a.wav",), ["sub/a.wav"]),
        (("[d]*.wav", "-.wav"), ["-.wav", "[d]*.wav"]),
        (("b.wav",), ["sub/b.wav"]),
        (("a.wav", "sub"), ["a.wav", "sub/a.wav", "sub/b.wav"]),
        (("a.*",), ["a.wav", "sub/a.wav"]),
    ],
)
def test_a_pattern_that_equals_a_path_chooses_it_alone(
    stage: Stage, patterns: tuple[str, ...], expected: list[str]
) -> None:
    rng = np.random.default_rng(0)
    database = DescriptorDatabase.from_sequences(
        [
            DescriptorSequence(
                rng.standard_normal((8, len(CONFIG.names))).astype(np.float32),
                CONFIG,
                name,
                f"{i:032}",
                8 * 1024,
            )
            for i, name in enumerate(NAMES)
        ],
        ".",
    )
    sounds = LiveSounds(Matcher(database, stage.predictor().standardizer))
    played = database.file_index[sounds.usable(patterns, ())]
    assert [database.files[i].source for i in np.unique(played)] == list(expected)
