"""`LiveSounds`: a corpus prepared for settings that change while it is played."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

import numpy as np

from desc.configuration import STYLES, LiveConfig, SelectionConfig, check
from desc.corpus.patterns import PatternSet
from desc.matching import Matcher
from desc.matching.arrays import Bools
from desc.matching.causal import Sounds

logger = logging.getLogger(__name__)


class LiveSounds:
    """A corpus prepared for the causal search, for each style.

    Parameters
    ----------
    matcher : Matcher
        The corpus, and the settings where none are given live.
    """

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = replace(matcher, selection=_causal(matcher.selection))
        self.database = matcher.database
        self._of_weights: dict[tuple[float, float], Sounds] = {}
        for selection in (self.matcher.selection, *map(self._styled, STYLES)):
            key = selection.slow_weight, selection.beat_weight
            if key not in self._of_weights:
                own = self.matcher.selection == selection
                one = self.matcher if own else replace(self.matcher, selection=selection)
                self._of_weights[key] = one.sounds

    def of(self, settings: LiveConfig) -> Sounds:
        """Return the sounds with the settings of selection."""
        selection = self.matcher.selection
        if settings.style is not None:
            selection = self._styled(settings.style)
        live: dict[str, Any] = {"continuity": settings.continuity, "layers": settings.layers}
        selection = replace(selection, **{k: v for k, v in live.items() if v is not None})
        prepared = self._of_weights[selection.slow_weight, selection.beat_weight]
        return replace(prepared, selection=selection)

    def usable(self, patterns: tuple[str, ...], lost: Collection[str]) -> Bools:
        """Return which rows (N,) are played: those of the files that match, if one can be read."""
        files = self.database.files
        present = np.array([file.source not in lost for file in files])
        both = present & self._matching(patterns)
        if not both.any():
            logger.warning("files=%s can no longer be read; all files are played", list(patterns))
            both = present if present.any() else ~present
        return np.repeat(both, [file.n_frames for file in files])

    def check_files(self, patterns: tuple[str, ...]) -> None:
        """Refuse patterns that match no file.

        Raises
        ------
        ConfigurationError
            Names the patterns.
        """
        found = bool(self._matching(patterns).any())
        check(found, "files", list(patterns), "match a file of the database")

    def _matching(self, patterns: tuple[str, ...]) -> Bools:
        """Return which files match; without patterns all.

        A pattern that equals a path stands for it alone, not for files of that name in folders.
        """
        names = [file.source for file in self.database.files]
        paths = set(patterns).intersection(names)
        others = PatternSet([one for one in patterns if one not in paths], names)
        return np.array(
            [not patterns or name in paths or others.matching(name) is not None for name in names]
        )

    def _styled(self, style: str) -> SelectionConfig:
        own = self.matcher.selection
        kept = {f.name: getattr(own, f.name) for f in fields(own)}
        defaults = {name: getattr(SelectionConfig(), name) for name in STYLES["granular"]}
        return SelectionConfig(**(kept | defaults | STYLES[style]))


def _causal(selection: SelectionConfig) -> SelectionConfig:
    return replace(selection, selection="causal")
