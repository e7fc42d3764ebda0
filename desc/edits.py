"""Edits of a result: units muted, louder, softer or replaced, each undone in turn.

They lie beside the result's own files, which stay as they are: `edits.json` is the list of edits,
`edited.json` the playlist and `edited.wav` its sound. Without the three the result is as it was.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desc import outputs
from desc.audio import read_excerpt
from desc.concatenation import Playlist, PlaylistEvent, render_to_file, with_event
from desc.concatenation.playlist import CORPUS, RECORDING
from desc.configuration import RenderConfig, check, from_dict, to_dict
from desc.corpus.ending import sound_levels
from desc.errors import AudioError, ConfigurationError, OutputError
from desc.files import read_json, replacing, write_json
from desc.storage import DescriptorStore

EDITS, EDITED, EDITED_WAV = "edits.json", "edited.json", "edited.wav"
FIELDS = ("source", "start_sample", "digest", "gain_db", "transpose_semitones")
"""Fields of an event that an edit may change."""
MUTED_DB = -200.0
MOST_GAIN_DB = 12.0
"""Largest gain or attenuation with which a replacement is brought to the level before."""


@dataclass(frozen=True)
class Alternative:
    """A sound that may play a unit instead.

    Attributes
    ----------
    source : str
        The file, relative to the corpus.
    start_sample : int
        First sample played.
    transpose_semitones : float
        Change of pitch by playback speed.
    distance : float
        Mean distance to the prediction of the frames that name it.
    n_frames : int
        Number of the unit's frames that name it among their nearest sounds.
    """

    source: str
    start_sample: int
    transpose_semitones: float
    distance: float
    n_frames: int


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
        return [{"event": int(one["event"]), "changes": dict(one["changes"])} for one in content]
    except (KeyError, TypeError, ValueError) as error:
        raise OutputError(f"{folder / EDITS}: damaged: {error!r}") from error


def edited_playlist(folder: Path) -> Playlist:
    """Return the playlist of a result with its edits.

    Raises
    ------
    DescError
        If a file is damaged, or an edit does not fit.
    """
    playlist = Playlist.load(folder / outputs.PLAYLIST)
    for edit in edits_of(folder):
        playlist = with_event(playlist, edit["event"], **edit["changes"])
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
    check(set(changes) <= set(FIELDS), "changes", sorted(changes), f"be among {', '.join(FIELDS)}")
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


def alternatives(folder: Path, event: int, count: int = 8) -> list[Alternative]:
    """Return the sounds that may play a unit instead, the best one first.

    Each frame of the unit names its nearest sounds (`_candidates` of `matches.json`), and each of
    these implies a start of the whole unit. Starts that most frames name come first, then those
    of the smallest mean distance. No two overlap by half.

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
        If the event is no unit, or the result lists no candidates.
    OutputError
        If `matches.json` is damaged.
    """
    playlist = edited_playlist(folder)
    check(0 <= event < len(playlist.events), "event", event, f"be below {len(playlist.events)}")
    unit = playlist.events[event]
    check(unit.root == CORPUS, "event", event, "be a unit of the corpus, not of the recording")
    matches = read_json(folder / outputs.MATCHES, OutputError)
    listed = "_candidates" in matches
    check(listed, "neighbours", 1, f"be above 1 for {folder} to list other sounds for a unit")
    try:
        named = _named_starts(playlist, unit, matches)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise OutputError(f"{folder / outputs.MATCHES}: damaged: {error!r}") from error
    kept: list[Alternative] = []
    taken = [(unit.source, unit.start_sample)]
    for one in sorted(named, key=lambda one: (-one.n_frames, one.distance, one.source)):
        near = unit.n_samples / 2
        if any(one.source == s and abs(one.start_sample - at) < near for s, at in taken):
            continue
        taken.append((one.source, one.start_sample))
        kept.append(one)
        if len(kept) == count:
            break
    return kept


def _named_starts(
    playlist: Playlist, unit: PlaylistEvent, matches: dict[str, Any]
) -> list[Alternative]:
    """Return every start that a candidate of a frame implies."""
    hop, rows = int(matches["_meta"]["hop_length"]), matches["_candidates"]
    first = min(one.onset_sample for one in playlist.events if one.root != RECORDING)
    frame, n_frames = (unit.onset_sample - first) // hop, max(1, unit.n_samples // hop)
    found: dict[tuple[str, float, int], list[tuple[int, float]]] = defaultdict(list)
    for offset in range(min(n_frames, len(rows["_id"]) - frame)):
        row = frame + offset
        speeds = rows["_speed"][row] if "_speed" in rows else [1.0] * len(rows["_id"][row])
        places = zip(
            rows["_id"][row], rows["_sample"][row], rows["_distance"][row], speeds, strict=True
        )
        for source, sample, distance, speed in places:
            # A unit lies around its centre, whatever its speed.
            centre = sample + speed * hop * ((n_frames - 1) / 2 - offset)
            start = round(centre - unit.n_samples / 2)
            if start >= 0:
                found[source, speed, round(start / hop)].append((start, distance))
    return [
        Alternative(
            source,
            votes[0][0],
            round(12 * math.log2(speed), 6),
            sum(distance for _, distance in votes) / len(votes),
            len(votes),
        )
        for (source, speed, _), votes in found.items()
    ]


def replacement(folder: Path, event: int, other: Alternative) -> dict[str, Any]:
    """Return the changes that play another sound for a unit, at the level of the one before.

    Raises
    ------
    DescError
        If a file cannot be read.
    """
    playlist = edited_playlist(folder)
    unit = playlist.events[event]
    digests = {one.source: one.digest for one in playlist.events if one.root == unit.root}
    before_db = _level_db(playlist, unit.source, unit.start_sample, unit.n_samples)
    after_db = _level_db(playlist, other.source, other.start_sample, unit.n_samples)
    gain_db = max(unit.gain_db, -MOST_GAIN_DB) + before_db - after_db
    return {
        "source": other.source,
        "start_sample": other.start_sample,
        "digest": digests.get(other.source, ""),
        "gain_db": round(min(max(gain_db, -MOST_GAIN_DB), MOST_GAIN_DB), 2),
        "transpose_semitones": other.transpose_semitones,
    }


def _level_db(playlist: Playlist, source: str, start_sample: int, n_samples: int) -> float:
    """Return the mean level of a piece of a file, dB."""
    rate, path = playlist.sample_rate, Path(playlist.roots.get(CORPUS, "."), source)
    audio, own_rate = read_excerpt(path, start_sample / rate, n_samples / rate)
    levels_db = sound_levels(audio, own_rate)
    if not len(levels_db):
        raise AudioError(f"{path}: ends before sample {start_sample}")
    return 10 * math.log10(sum(10 ** (level / 10) for level in levels_db) / len(levels_db))
