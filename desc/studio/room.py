"""`StudioRoom`: the studio's page and the requests that it makes."""

from __future__ import annotations

import base64
import json
import math
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from desc import edits, outputs
from desc.configuration import STYLES, RunConfig, check, to_dict
from desc.corpus import open_corpus
from desc.database import DescriptorDatabase
from desc.descriptors.config import DescriptorConfig
from desc.errors import ConfigurationError, DescError
from desc.files import read_json, write_json
from desc.playlist_formats import FORMATS
from desc.runs import SAMPLES, resolve_run
from desc.storage import DescriptorStore
from desc.studio import folders, take_view
from desc.studio.atlas import Atlas
from desc.studio.controls import SPEEDS, STYLE_WORDS, TakeSettings, controls
from desc.studio.jobs import Jobs
from desc.studio.live_process import LiveProcess
from desc.studio.map_room import MapRoom, local_page
from desc.studio.moments import moments, write_moments
from desc.studio.server import HTML, WAV, Answer, Request
from desc.studio.training import Trainings, curves, runs_table
from desc.takes import mark, remove

SCRIPTS = (
    "common timeline chart requests sound folders training point inputs controls takes units studio"
)
CHOICES_FILE = "studio.json"
CHOICES: dict[str, Any] = {
    "recordings": "",
    "sounds": "",
    "include": [],
    "run_id": "",
    "recording": "",
}
EVENTS_S, LOOK_S = 10.0, 1.0
"""Seconds between two events at most, and between two looks at a training."""


class StudioRoom:
    """Answers the requests of the studio's page with what the library offers.

    Parameters
    ----------
    folder : path
        Folder of the studio: dropped sounds, takes, and what was chosen.
    run : RunConfig
        Where runs are kept.
    store : DescriptorStore
        The cache.
    """

    def __init__(self, folder: str | Path, run: RunConfig, store: DescriptorStore) -> None:
        self.folder = Path(folder).resolve()
        self.run = replace(
            run, experiment_dir=str(Path(run.experiment_dir).resolve()), offline=True
        )
        self.store = store
        self._changed = threading.Condition()
        self._version = 0
        self._changing = threading.Lock()
        self.jobs = Jobs(on_change=self.tell)
        self.trainings = Trainings(self.folder, self.run, store.cache_dir)
        options = ["--cache_dir", str(store.cache_dir)]
        self.live = LiveProcess(self.folder, options, self.tell)
        self._map: MapRoom | None = None
        self._mapped = ("", "")
        self._choices = self._read_choices()
        self._get: dict[str, Callable[[dict[str, str]], Answer]] = {
            "": lambda _: Answer(self._page(), HTML),
            "events": lambda _: Answer(events=self._events()),
            "folders": lambda q: Answer.of(folders.browse(q.get("path", ""))),
            "listing": lambda q: Answer.of(folders.listing(self._chosen(q.get("kind", "")))),
            "waveform": lambda q: Answer.of(folders.waveform(self._recording(q))),
            "excerpt": self._excerpt,
            "runs": lambda _: Answer.of(runs_table(self.run)),
            "curves": lambda q: Answer.of(curves(resolve_run(q.get("run_id", ""), self.run))),
            "sample": self._sample,
            "takes": lambda q: Answer.of(take_view.takes_table(self._takes_dir(q))),
            "take": lambda q: Answer.of(take_view.take_page(self._take(q))),
            "sound": lambda q: Answer(take_view.take_sound(self._take(q)), WAV),
            "report": lambda q: Answer(take_view.report(self._take(q)), HTML, sandboxed=True),
            "transition": lambda q: Answer(take_view.transition(self._take(q)), WAV),
            "unit": self._unit,
            "source": lambda q: Answer(
                take_view.source_sound(self._take(q), _whole(q, "event")), WAV
            ),
            "alternatives": self._alternatives,
            "export": self._export,
        }
        self._post: dict[str, Callable[[dict[str, Any]], Any]] = {
            "choose": self._choose,
            "demo": lambda _: self.jobs.add("demo", folder=str(self.folder / "demo")).shown(),
            "train": self._train,
            "resume": lambda v: self.trainings.resume(str(v.get("run_id", ""))),
            "stop": lambda _: self.trainings.stop(),
            "continue": self._continue,
            "cancel": lambda v: self.jobs.cancel(_whole(v, "number")),
            "mark": self._mark,
            "delete": lambda v: remove(self._takes_dir(v), self._take(v).number),
            "edit": self._edit,
            "replace": self._replace,
            "undo": lambda v: self._render(self._take(v), edits.undo(self._take(v).folder)),
            "play": lambda _: self._play(),
            "end": lambda _: self.live.end(),
            "map": lambda _: self._open_map(),
            "moments": self._use_moments,
        }

    def close(self) -> None:
        """End the worker and what plays; a training goes on."""
        self.jobs.close()
        self.live.close()

    def answer(self, request: Request) -> Answer | None:
        """Return the answer to a request of the page.

        Raises
        ------
        DescError
            If the request is wrong or cannot be met; the page shows the message.
        """
        name = request.path
        if name.startswith("map/") and self._map is not None:
            return self._map.answer(replace(request, path=name.removeprefix("map/")))
        if request.method == "GET":
            return self._get[name](request.query) if name in self._get else None
        if name == "upload":
            return Answer.of(self._upload(request))
        if name not in self._post:
            return None
        values = request.json()
        with self._changing:  # one change at a time, also of several pages
            value = self._post[name](values)
        self.tell()
        return Answer.of(value)

    def tell(self) -> None:
        """Wake the pages: something has changed."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def status(self) -> dict[str, Any]:
        """Return what every page shows at once: choices, jobs, training, stream, as JSON."""
        return {
            "choices": self._choices,
            "jobs": self.jobs.shown(),
            "training": self.trainings.state(),
            "live": self.live.state(),
        }

    def _events(self) -> Iterator[bytes]:
        """Yield the status as server-sent events: when it changes, and every ten seconds."""
        seen, waited = "", 0.0
        while True:
            version = self._version
            text = json.dumps(self.status(), allow_nan=False)
            if text != seen or waited >= EVENTS_S:
                seen, waited = text, 0.0
                yield f"data: {text}\n\n".encode()
            with self._changed:
                if self._version == version:
                    self._changed.wait(LOOK_S)
            waited += LOOK_S

    def _page(self) -> bytes:
        data = {
            "controls": controls(),
            "styles": STYLES,
            "styleWords": STYLE_WORDS,
            "speeds": {words: list(values) for words, values in SPEEDS.items()},
            "formats": [
                *([name, f"sound ({name.upper()})"] for name in take_view.SOUNDS),
                *([one.name, one.title] for one in FORMATS.values()),
            ],
            "folder": str(self.folder),
            "command": "desc studio",
        }
        return local_page("studio", title="desc studio", scripts=SCRIPTS, data=data)

    def _read_choices(self) -> dict[str, Any]:
        try:
            kept = read_json(self.folder / CHOICES_FILE)
        except DescError:
            return dict(CHOICES)
        kept = kept if isinstance(kept, dict) else {}
        return {
            name: kept[name] if isinstance(kept.get(name), type(value)) else value
            for name, value in CHOICES.items()
        }

    def _choose(self, values: dict[str, Any]) -> dict[str, Any]:
        """Set folders, patterns, run or recording, all of them checked."""
        check(values.keys() <= CHOICES.keys(), "choice", sorted(values), "be known by name")
        for name, value in values.items():
            check(isinstance(value, type(CHOICES[name])), name, value, "have the right type")
            if name in ("recordings", "sounds") and value:
                values = values | {name: folders.browse(value)["path"]}
            if name == "include":
                check(all(isinstance(one, str) for one in value), name, value, "be a list of texts")
        if values.get("sounds", self._choices["sounds"]) != self._choices["sounds"]:
            values = {"include": [], **values}
        choices = self._choices | values
        write_json(self.folder / CHOICES_FILE, choices)
        self._choices = choices
        return choices

    def _upload(self, request: Request) -> dict[str, Any]:
        kind, name = request.query.get("kind", ""), request.query.get("name", "")
        check(kind in ("recordings", "sounds"), "kind", kind, "be recordings or sounds")
        folder = self.folder / kind
        folders.receive(folder, name, request.body)
        with self._changing:
            return self._choose({kind: str(folder)})

    def _chosen(self, kind: str) -> str:
        check(kind in ("recordings", "sounds"), "kind", kind, "be recordings or sounds")
        folder = str(self._choices[kind])
        check(folder != "", kind, folder, "be chosen first")
        return folder

    def _recording(self, values: dict[str, Any]) -> Path:
        return folders.inside(self._chosen("recordings"), str(values.get("recording", "")))

    def _takes_dir(self, values: dict[str, Any]) -> Path:
        path, root = self._recording(values), os.path.abspath(self._chosen("recordings"))
        source = path.relative_to(root).as_posix()
        return outputs.result_folder(self.folder / "takes", source)

    def _take(self, values: dict[str, Any]) -> Any:
        return take_view.take_of(self._takes_dir(values), values.get("number"))

    def _excerpt(self, query: dict[str, str]) -> Answer:
        start, seconds = (_number(query, name) for name in ("start", "seconds"))
        return Answer(folders.excerpt(self._recording(query), start, seconds), WAV)

    def _sample(self, query: dict[str, str]) -> Answer:
        folder = resolve_run(query.get("run_id", ""), self.run).folder / SAMPLES
        path = folders.inside(str(folder), query.get("name", ""))
        return Answer(folders.excerpt(path, 0.0, folders.EXCERPT_S), WAV)

    def _train(self, values: dict[str, Any]) -> None:
        sounds = self._choices["sounds"] or None
        name = str(values.pop("name", ""))
        self.trainings.start(self._chosen("recordings"), sounds, values, name)

    def _continue(self, values: dict[str, Any]) -> dict[str, Any]:
        """Queue a take with the page's settings, or a longer version of an earlier one."""
        settings, run_id = values.get("settings", {}), str(self._choices["run_id"])
        if "longer" in values:
            take = self._take(values)
            settings = take_view.longer(take, _number(values, "longer"))
            run_id = take.request["run_id"]
        check(isinstance(settings, dict), "settings", settings, "be an object")
        TakeSettings.read(settings)
        job = self.jobs.add(
            "continue",
            run=self._run_folder(run_id),
            recording=str(self._recording(values)),
            sounds=self._chosen("sounds"),
            include=self._choices["include"],
            settings=settings,
            takes_dir=str(self._takes_dir(values).parent),
            cache_dir=str(self.store.cache_dir),
        )
        return job.shown()

    def _run_folder(self, run_id: str) -> str:
        check(run_id != "", "run_id", run_id, "be chosen, or a run be trained first")
        return str(resolve_run(run_id, self.run).folder)

    def _play(self) -> None:
        """Play live with the run and the sounds that are chosen."""
        run = self._run_folder(str(self._choices["run_id"]))
        self.live.start(run, self._chosen("sounds"), self._choices["include"])

    def _mark(self, values: dict[str, Any]) -> None:
        starred, note = values.get("starred"), values.get("note")
        mark(self._takes_dir(values), self._take(values).number, starred=starred, note=note)

    def _unit(self, query: dict[str, str]) -> Answer:
        margin_s = _number({"margin_s": 0, **query}, "margin_s")
        sound = take_view.unit_sound(
            self._take(query), _whole(query, "event"), self.store, margin_s
        )
        return Answer(sound, WAV)

    def _alternatives(self, query: dict[str, str]) -> Answer:
        found = edits.alternatives(self._take(query).folder, _whole(query, "event"))
        return Answer.of([to_dict(one) for one in found])

    def _edit(self, values: dict[str, Any]) -> dict[str, Any]:
        take, gain_db = self._take(values), _number(values, "gain_db")
        playlist = edits.add_edit(take.folder, _whole(values, "event"), {"gain_db": gain_db})
        return self._render(take, playlist)

    def _replace(self, values: dict[str, Any]) -> dict[str, Any]:
        take, event = self._take(values), _whole(values, "event")
        found, index = edits.alternatives(take.folder, event), _whole(values, "alternative")
        check(0 <= index < len(found), "alternative", index, f"be below {len(found)}")
        changes = edits.replacement(take.folder, event, found[index])
        return self._render(take, edits.add_edit(take.folder, event, changes))

    def _render(self, take: Any, playlist: Any) -> dict[str, Any]:
        """Queue the rendering of an edited take; return the number of its edits."""
        n_edits = len(edits.edits_of(take.folder))
        if n_edits:
            arguments = {"folder": str(take.folder), "cache_dir": str(self.store.cache_dir)}
            self.jobs.add("render", **arguments)
        return {"n_edits": n_edits, "n_events": len(playlist.events)}

    def _export(self, query: dict[str, str]) -> Answer:
        """Return a take as a file to keep: its WAV, or a project of another program."""
        take, name = self._take(query), query.get("format", "wav")
        stem = f"{Path(query['recording']).stem} take {take.number}"
        return Answer(*take_view.exported(take, name, stem, self.store))

    def _open_map(self) -> dict[str, Any]:
        """Open the map of the sounds, or queue their extraction where it is not done yet."""
        sounds = self._chosen("sounds")
        files = folders.state(sounds)
        if self._map is not None and self._mapped == (sounds, files):
            return {"ready": True}
        done = [
            job for job in self.jobs.shown() if job["kind"] == "open" and job["state"] == "done"
        ]
        wanted = {"sounds": sounds, "files": files}
        if not any(job["result"].items() >= wanted.items() for job in done):
            self.jobs.add("open", **wanted, cache_dir=str(self.store.cache_dir))
            return {"ready": False}
        corpus = open_corpus(sounds, DescriptorConfig(), self.store).with_sound()
        database = DescriptorDatabase.from_corpus(corpus, self.store)
        self._map, self._mapped = MapRoom(Atlas.of(database), in_studio=True), (sounds, files)
        return {"ready": True}

    def _use_moments(self, values: dict[str, Any]) -> dict[str, Any]:
        """Write the moments selected on the map as files, and choose these as the sounds."""
        check(self._map is not None, "map", None, "be open")
        assert self._map is not None
        atlas = self._map.atlas
        try:
            packed = np.frombuffer(base64.b64decode(str(values.get("selected", ""))), np.uint8)
        except ValueError as error:
            raise ConfigurationError(f"selected is not a selection: {error}") from error
        found = moments(atlas, np.unpackbits(packed)[: len(atlas.rows)].astype(bool))
        folder = folders.next_folder(self.folder / "moments")
        write_moments(found, atlas.database.root, folder)
        return self._choose({"sounds": str(folder)})


def _number(values: dict[str, Any], name: str) -> float:
    try:
        value = float(values[name])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}={values.get(name)!r} must be a number") from error
    check(math.isfinite(value), name, value, "be finite")
    return value


def _whole(values: dict[str, Any], name: str) -> int:
    try:
        return int(values[name])
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}={values.get(name)!r} must be a whole number") from error
