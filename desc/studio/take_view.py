"""Takes of a recording as the page shows them: list, units, sounds, settings to go on from."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from desc import edits, outputs
from desc.audio import LoudnessMeter, probe, read, read_blocks, read_excerpt
from desc.concatenation import Playlist, around, render, render_to_file
from desc.concatenation.playlist import RECORDING
from desc.configuration import check, check_choice, check_number
from desc.errors import DescError
from desc.matching.units import MUTED_DB
from desc.playlist_formats import FORMATS, ExportConfig, export_playlist
from desc.report import ReportData, write_result_report
from desc.report.drawing import envelope
from desc.report.page import packed
from desc.report.result import cut_clip
from desc.storage import DescriptorStore
from desc.studio.controls import CLASSES
from desc.studio.folders import N_COLUMNS, wav
from desc.studio.server import BINARY, WAV
from desc.takes import Take, differing_settings, list_takes
from desc.takes.index_page import SILENT_LUFS

logger = logging.getLogger(__name__)

SOUNDS = ("wav", "flac", "ogg", "mp3")
"""Kinds of sound files that a take is exported to."""
MARGIN_S = 1.0
"""Sound before and after a unit when it is heard in its source, seconds."""


def takes_table(folder: Path) -> dict[str, Any]:
    """Return the takes of a recording and the settings in which they differ, as JSON values.

    A damaged one is left out, with a warning.
    """
    rows, takes = [], []
    for take in list_takes(folder):
        try:
            rows.append(_row(take))
            takes.append(take)
        except DescError as error:
            logger.warning("a take is left out: %s", error)
    return {"takes": rows, "differing": differing_settings(takes)}


def _row(take: Take) -> dict[str, Any]:
    return {
        "number": take.number,
        "starred": take.starred,
        "note": take.note,
        "n_edits": len(edits.edits_of(take.folder)),
        **_figures(edits.edited_playlist(take.folder)),
        "continued_s": _continued_s(take),
        "sound_version": _version(take),
        "lufs": _loudness(sound_file(take), sound_file(take).stat().st_mtime_ns),
        "settings": settings_of(take),
        "run_id": take.request["run_id"],
        "folder": str(take.folder),
    }


def _figures(playlist: Playlist) -> dict[str, Any]:
    """Return the figures of a take that the page shows, all of them of its playlist."""
    units = [event for event in playlist.events if event.root != RECORDING]
    heard = [event for event in units if event.gain_db > MUTED_DB]
    return {
        "seconds": playlist.n_samples / playlist.sample_rate,
        "n_units": len(heard),
        "n_files": len({event.source for event in heard}),
        "unit_s": sum(e.n_samples for e in heard) / max(1, len(heard)) / playlist.sample_rate,
    }


def take_of(folder: Path, number: Any) -> Take:
    """Return a take by its number.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    found = [take for take in list_takes(folder) if str(take.number) == str(number)]
    check(bool(found), "take", number, f"be one of those in {folder}")
    return found[0]


def settings_of(take: Take) -> dict[str, Any]:
    """Return the settings of a take as `TakeSettings.read` takes them."""
    names = {field.name for kind in CLASSES for field in fields(kind)} - {"duration_s"}
    found = {name: value for name, value in take.request.items() if name in names}
    return found | {"speeds": take.request.get("speeds", [])}


def longer(take: Take, factor: float) -> dict[str, Any]:
    """Return the settings of a take that begins with the sounds of this one and lasts longer."""
    check_number("longer", factor, 1.0, 10.0)
    settings = settings_of(take)
    frames = int(settings["prediction_length"])
    settings["keep_frames"] = [*settings.get("keep_frames", []), frames]
    return settings | {"prediction_length": max(frames + 1, round(factor * frames))}


def _continued_s(take: Take) -> float:
    """Return the length of the continuation in a take, seconds."""
    descriptors = take.request["descriptors"]
    samples = take.request["prediction_length"] * descriptors["hop_length"]
    return float(samples / descriptors["sample_rate"])


def sound_file(take: Take) -> Path:
    """Return the WAV of a take, with its edits once they are rendered."""
    edited = take.folder / edits.EDITED_WAV
    return edited if edited.is_file() else take.folder / outputs.WAV


def _version(take: Take) -> str:
    """Return a text that changes with the sound of a take."""
    path = sound_file(take)
    return f"{path.name} {path.stat().st_mtime_ns}"


@lru_cache(maxsize=1024)
def _loudness(path: Path, changed: int) -> float:  # noqa: ARG001
    """Return the loudness of a WAV in LUFS, by which takes are compared."""
    info = probe(path)
    meter = LoudnessMeter(info.sample_rate, info.n_channels)
    for block in read_blocks(path):
        meter.add(block)
    return max(meter.loudness, SILENT_LUFS)


def take_sound(take: Take) -> bytes:
    """Return the sound of a take as WAV."""
    path = sound_file(take)
    return wav(read(path), probe(path).sample_rate)


def transition(take: Take) -> bytes:
    """Return the recording's end and the take after it as WAV, at most a minute."""
    recording = ReportData.load(take.folder / outputs.REPORT_DATA).recording
    clip = cut_clip(sound_file(take), edits.edited_playlist(take.folder), recording)
    return wav(clip.audio, clip.sample_rate)


def take_page(take: Take) -> dict[str, Any]:
    """Return picture and units of a take as JSON values, edits included."""
    playlist = edits.edited_playlist(take.folder)
    original = Playlist.load(take.folder / outputs.PLAYLIST)
    rate = playlist.sample_rate
    audio = read(sound_file(take))
    return {
        "number": take.number,
        "sample_rate": rate,
        "seconds": playlist.n_samples / rate,
        "envelope": packed(envelope(audio, N_COLUMNS), "i1"),
        "edits": edits.edits_of(take.folder),
        "sound_version": _version(take),
        "units": [
            {
                "event": index,
                "source": event.source,
                "onset": event.onset_sample / rate,
                "length": event.n_samples / rate,
                "start": event.start_sample / rate,
                "gain_db": event.gain_db,
                "own_gain_db": own.gain_db,
                "semitones": event.transpose_semitones,
                "layer": event.layer,
                "is_recording": event.root == RECORDING,
            }
            for index, (event, own) in enumerate(zip(playlist.events, original.events, strict=True))
        ],
    }


def unit_sound(take: Take, event: int, store: DescriptorStore, margin_s: float) -> bytes:
    """Return a unit as the take plays it, with what sounds around it, as WAV."""
    playlist = edits.edited_playlist(take.folder)
    part, first, last = around(playlist, event, margin_s)
    clip = render(part, store=store, rendering=edits.rendering_of(take.folder))
    scale = clip.sample_rate / playlist.sample_rate
    samples = clip.samples[round(first * scale) : round(last * scale)]
    return wav(samples.T, clip.sample_rate)


def source_sound(take: Take, event: int) -> bytes:
    """Return a unit in its file, with a second before and after it, as WAV."""
    playlist = edits.edited_playlist(take.folder)
    check(0 <= event < len(playlist.events), "event", event, f"be below {len(playlist.events)}")
    unit, rate = playlist.events[event], playlist.sample_rate
    path = Path(playlist.roots[unit.root], unit.source)
    start_s = max(0.0, unit.start_sample / rate - MARGIN_S)
    end_s = (unit.start_sample + unit.n_samples) / rate + MARGIN_S
    return wav(*read_excerpt(path, start_s, end_s - start_s))


def report(take: Take) -> bytes:
    """Return the page of a take as it was made, without edits.

    Raises
    ------
    DescError
        If a file of the take is damaged.
    """
    path = take.folder / outputs.REPORT
    return (path if path.is_file() else write_result_report(take.folder)).read_bytes()


def exported(take: Take, format: str, stem: str, store: DescriptorStore) -> tuple[bytes, str, str]:
    """Return a take as a sound file or for another program: content, media type and file name.

    A project of several files becomes a zip archive. Sound files are copied into projects.

    Raises
    ------
    DescError
        If the format is unknown, or a sound cannot be read.
    """
    check_choice("format", format, (*SOUNDS, *FORMATS))
    if format == "wav":
        if edits.edits_of(take.folder) and not (take.folder / edits.EDITED_WAV).is_file():
            edits.render_edited(take.folder, store)
        return sound_file(take).read_bytes(), WAV, f"{stem}.wav"
    playlist, rendering = edits.edited_playlist(take.folder), edits.rendering_of(take.folder)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, stem)
        if format in SOUNDS:
            path = folder / f"{stem}.{format}"
            render_to_file(playlist, path, store=store, rendering=rendering, allow_long=True)
            return path.read_bytes(), BINARY, path.name
        chosen = FORMATS[format]
        path = folder / f"{stem}{chosen.extension}"
        settings = ExportConfig(media="collect" if chosen.media else None)
        export_playlist(playlist, path, format, store=store, rendering=rendering, settings=settings)
        if path.is_file() and len(list(folder.iterdir())) == 1:
            return path.read_bytes(), BINARY, path.name
        archive = shutil.make_archive(str(Path(place, "archive")), "zip", folder)
        return Path(archive).read_bytes(), "application/zip", f"{stem}.zip"
