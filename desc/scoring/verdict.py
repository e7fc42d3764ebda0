"""A sentence on a model beside its hardest peer, the linear baseline with replayed innovations."""

from __future__ import annotations

import math

from desc.scoring.scorer import Figures

PEER = "VAR, replay"
"""Name of the linear baseline that replays the innovations of the context; few models beat it."""
SIMILAR = 0.1  # difference of Fréchet distances, of the peer's, that means little


def verdict(name: str, model: Figures, peer: Figures, real: Figures) -> str:
    """Say in a sentence how many beats a model keeps, and how near it is to real music.

    Parameters
    ----------
    name : str
        The model.
    model, peer, real : dict of str to float
        Metrics of the model, of the linear baseline and of real music, with the names of
        `Scorer.score`; missing ones are not mentioned.
    """
    own, other = model["fd"], peer["fd"]
    errors = [figures.get("fd_se", math.nan) for figures in (model, peer)]
    how = "is about as near to the music as"
    if abs(own - other) > max([SIMILAR * other, *filter(math.isfinite, errors)]):
        how = "is nearer to the music than" if own < other else "is further from the music than"
    distances = [
        f"{value:.1f}" + (f" ± {error:.1f}" if math.isfinite(error) else "")
        for value, error in zip((own, other), errors, strict=True)
    ]
    return (
        f"{name} {_beats(model, peer)}{how} the linear baseline ({PEER}): "
        f"FD {' against '.join(distances)}, real music {real['fd']:.1f} (lower is better)"
    )


def _beats(model: Figures, peer: Figures) -> str:
    n, kept = (model.get(name, math.nan) for name in ("beats", "beats_kept"))
    if math.isnan(n * kept):
        return ""
    pieces = "piece" if n == 1 else "pieces"
    other = peer.get("beats_kept", math.nan)
    beside = f" ({PEER}: {round(n * other)})" if math.isfinite(other) else ""
    return f"keeps the beat of {round(n * kept)} of {n:.0f} {pieces}{beside} and "
