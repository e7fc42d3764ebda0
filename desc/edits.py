"""Edits of a result: units muted, louder, softer or replaced, each undone in turn.

They lie beside the result's own files, which stay as they are: `edits.json` is the list of edits,
`edited.json` the playlist and `edited.wav` its sound. Without the three the result is as it was.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from desc import outputs
from desc.audio import read_excerpt
from desc.concatenation import Playlist, PlaylistEvent, render_to_file, with_event
from desc.configuration import RenderConfig, as_tuples, check, from_dict, to_dict
from desc.errors import ConfigurationError, OutputError
from desc.files import read_json, replacing, write_json
from desc.matching.units import MUTED_DB
from desc.playlist_formats.alternatives import Candidates
from desc.storage import DescriptorStore

EDITS, EDITED, EDITED_WAV = "edits.json", "edited.json", "edited.wav"
FIELDS = ("source", "start_sample", "digest", "gain_db", "gain_curve", "transpose_semitones")
"""Fields of an event that an edit may change."""
MOST_GAIN_DB = 12.0
"""Largest gain or attenuation with which a replacement is brought to the level before."""


def edits_of(folder: Path) -> list[dict[str, Any]]:
    """Return the edits of a result, the first one first; each has `event` and `changes`.

    Raises
    ------
    OutputError
        If `edits.json` is damaged.
    """
    if not (folder / EDITS).exists():
        return []
    content = read_json(folder / EDITS, OutputError)
    try:
        return [
            {
                "event": int(one["event"]),
                "changes": _checked(dict(one["changes"])),
            }
            for one in content
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(f"{folder / EDITS}: damaged: {error!r}") from error
    except ConfigurationError as error:
        raise OutputError(f"{folder / EDITS}: {error}") from error


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes of an event with tuples for lists; they must be of `FIELDS`."""
    check(set(changes) <= set(FIELDS), "changes", sorted(changes), f"be among {', '.join(FIELDS)}")
    return {name: as_tuples(value) for name, value in changes.items()}


def edited_playlist(folder: Path) -> Playlist:
    """Return the playlist of a result with its edits.

    Raises
    ------
    DescError
        If a file is damaged, or an edit does not fit.
    """
    playlist = Playlist.load(folder / outputs.PLAYLIST)
    for edit in edits_of(folder):
        try:
            playlist = with_event(playlist, edit["event"], **edit["changes"])
        except ConfigurationError as error:
            raise ConfigurationError(f"{folder / EDITS}: {error}") from error
    return playlist


def add_edit(folder: Path, event: int, changes: dict[str, Any]) -> Playlist:
    """Change an event of a result; return the playlist.

    Parameters
    ----------
    folder : Path
        The result's folder.
    event : int
        Place of the event in the playlist, counted from 0.
    changes : dict
        Values of `FIELDS`.

    Raises
    ------
    ConfigurationError
        If there is no such event, or a value breaks a rule.
    """
    changes = _checked(changes)
    edits = edits_of(folder)
    playlist = with_event(edited_playlist(folder), event, **changes)
    _write(folder, [*edits, {"event": event, "changes": changes}], playlist)
    return playlist


def undo(folder: Path) -> Playlist:
    """Take back the last edit of a result; return the playlist.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    edits = edits_of(folder)
    check(bool(edits), "edits", 0, "be at least 1 to take one back")
    _write(folder, edits[:-1], None)
    playlist = edited_playlist(folder)
    if edits[:-1]:
        playlist.save(folder / EDITED)
    return playlist


def _write(folder: Path, edits: list[dict[str, Any]], playlist: Playlist | None) -> None:
    (folder / EDITED_WAV).unlink(missing_ok=True)  # of the edits before
    if not edits:
        for name in (EDITS, EDITED):
            (folder / name).unlink(missing_ok=True)
        return
    write_json(folder / EDITS, edits)
    if playlist is not None:
        playlist.save(folder / EDITED)


def rendering_of(folder: Path) -> RenderConfig:
    """Return the settings with which a result was rendered.

    Raises
    ------
    OutputError
        If `prediction.json` is damaged.
    """
    content = read_json(folder / outputs.PREDICTION, OutputError)
    try:
        request = content["_meta"]["request"]
        return from_dict(
            RenderConfig, {k: request[k] for k in to_dict(RenderConfig()) if k in request}
        )
    except (KeyError, TypeError, ConfigurationError) as error:
        raise OutputError(f"{folder / outputs.PREDICTION}: damaged: {error!r}") from error


def render_edited(folder: Path, store: DescriptorStore | None = None) -> Path:
    """Render the edited playlist of a result to `edited.wav`; edits made meanwhile are rendered.

    Raises
    ------
    DescError
        If a file is damaged or missing.
    """
    path = folder / EDITED_WAV
    while True:
        edits = edits_of(folder)
        with replacing(path) as temporary:
            render_to_file(
                edited_playlist(folder),
                temporary,
                store=store,
                rendering=rendering_of(folder),
                allow_long=True,
            )
        if edits_of(folder) == edits:
            return path


def alternatives(folder: Path, event: int, count: int = 8) -> list[PlaylistEvent]:
    """Return other events in place of a unit of the first layer, the best one first.

    Parameters
    ----------
    folder : Path
        A result whose `neighbours` was above 1.
    event : int
        Place of the unit in the playlist.
    count : int
        Largest number.

    Raises
    ------
    ConfigurationError
        If there is no such event, or the result lists one sound per frame.
    """
    playlist = edited_playlist(folder)
    _event(playlist, event)
    return Candidates.load(folder / outputs.MATCHES).alternatives(playlist, event, count)


def _event(playlist: Playlist, place: int) -> PlaylistEvent:
    """Return the event at a place of a playlist, which must have one there."""
    check(0 <= place < len(playlist.events), "event", place, f"be below {len(playlist.events)}")
    return playlist.events[place]


def replacement(folder: Path, event: int, other: PlaylistEvent) -> dict[str, Any]:
    """Return the changes that play another sound for a unit, at the level of the one before.

    Raises
    ------
    DescError
        If a file cannot be read.
    """
    playlist = edited_playlist(folder)
    unit = _event(playlist, event)
    change_db = _level_db(playlist, unit) - _level_db(playlist, other)
    gain_db = change_db if unit.gain_db <= MUTED_DB else unit.gain_db + change_db
    changes = {name: getattr(other, name) for name in FIELDS}
    return changes | {"gain_db": round(min(max(gain_db, -MOST_GAIN_DB), MOST_GAIN_DB), 2)}


def _level_db(playlist: Playlist, event: PlaylistEvent) -> float:
    """Return the mean level of what an event plays, but for `gain_db` and fades, at least −120 dB.

    A transposed event is measured where it would play at its own speed.
    """
    rate, path = playlist.sample_rate, Path(playlist.roots[event.root], event.source)
    samples, own_rate = read_excerpt(path, event.start_sample / rate, event.n_samples / rate)
    gains = replace(event, gain_db=0.0).gains(np.arange(samples.shape[1]) * rate / own_rate)
    power = float(np.mean(np.square(samples * gains))) if samples.size else 0.0
    return 10 * math.log10(max(power, 1e-12))
