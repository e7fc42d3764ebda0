"""The sentence on a model beside the linear baseline."""

from __future__ import annotations

import math

from desc.scoring.verdict import verdict

REAL = {"fd": 5.0}


def said(model: float, peer: float = 12.0, **figures: float) -> str:
    return verdict("LSTM", {"fd": model} | figures, {"fd": peer, "beats_kept": 0.2}, REAL)


def test_it_compares_with_a_peer_that_is_hard_to_beat() -> None:
    assert said(8.0) == (
        "LSTM is nearer to the music than the linear baseline (VAR, replay): FD 8.0 against 12.0, "
        "real music 5.0 (lower is better)"
    )
    assert "is further from the music than" in said(14.0)
    assert "is about as near to the music as" in said(11.5)


def test_it_counts_the_pieces_whose_beat_is_kept() -> None:
    sentence = said(8.0, beats=5.0, beats_kept=0.8)
    assert sentence.startswith(
        "LSTM keeps the beat of 4 of 5 pieces (VAR, replay: 1) and is nearer"
    )
    assert "of 1 of 1 piece (" in said(8.0, beats=1.0, beats_kept=1.0)
    assert "beat of" not in said(8.0, beats=0.0, beats_kept=math.nan)


def test_a_difference_within_the_error_means_little() -> None:
    sentence = said(8.0, fd_se=5.0)
    assert "is about as near" in sentence
    assert "FD 8.0 ± 5.0 against 12.0" in sentence
