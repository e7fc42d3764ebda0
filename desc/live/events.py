"""`StreamEvent`: units of a stream as they begin and end, told to watchers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from desc.concatenation.playlist import PlaylistEvent

logger = logging.getLogger(__name__)


class StreamEvent(NamedTuple):
    """A unit that begins or has ended.

    Attributes
    ----------
    is_over : bool
        Whether it has ended; until then its length is that so far.
    event : PlaylistEvent
        File, position, length, gain and layer; its onset counts from the start of the stream.
    is_joined : bool
        Whether the same unit goes on at another level: after this end, or before this beginning.
    """

    is_over: bool
    event: PlaylistEvent
    is_joined: bool = False


class Watchers(list[Callable[[StreamEvent], None]]):
    """Functions that are called with every event of a stream, until one raises an error."""

    def __init__(self) -> None:
        super().__init__()
        self._broken: list[Callable[[StreamEvent], None]] = []

    def tell(self, event: StreamEvent) -> None:
        """Call each; one that raises an error is said, and no longer called."""
        for watcher in [one for one in self if one not in self._broken]:
            try:
                watcher(event)
            except Exception as error:  # of a port or a disk: the music goes on
                self._broken.append(watcher)
                name = getattr(watcher, "__qualname__", repr(watcher))
                logger.warning("units are no longer told to %s: %s", name, error)
