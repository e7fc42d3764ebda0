"""`Stream`: blocks of the player's sound in, blocks of ours out."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from desc.audio import Audio
from desc.concatenation.mixing import Mixer
from desc.concatenation.playlist import CORPUS, PlaylistEvent
from desc.configuration import LiveConfig, Sampling, check, check_integer, check_number
from desc.configuration.live import MAX_LAYERS
from desc.database import DescriptorDatabase
from desc.descriptors.listening import Listener
from desc.descriptors.sequence import MIN_FRAMES, DescriptorSequence
from desc.devices import one_thread
from desc.errors import ConfigurationError
from desc.live.events import StreamEvent, Watchers
from desc.live.mixing import GrowingMix, SteadySources, in_mono
from desc.live.sounds import LiveSounds
from desc.matching import Matcher
from desc.matching.arrays import Values
from desc.matching.causal import HEARD_S, Played, UnitStream
from desc.matching.units import MUTED_DB, Unit, unit_event
from desc.models.rollout import Rollout
from desc.prediction import Predictor, recording_generator
from desc.storage import DescriptorStore

logger = logging.getLogger(__name__)

SOUNDING_DB = -50.0
"""Level relative to the loudest frame so far, below which a frame of the player is a pause."""


class Stream:
    """A continuation that is made while the player plays.

    `process` takes blocks of any length; the result does not depend on how the sound is cut into
    blocks. What is played comes `latency` samples later than the moment that it is meant for.

    Parameters
    ----------
    predictor : Predictor
        The trained model.
    matcher : Matcher
        The sounds, and the settings of query, selection and rendering. The selection is made
        causal. Its `crossfade_ms` is at most a hop.
    store : DescriptorStore, optional
        The cache, for sources that need decoding; by default the default cache.
    **settings
        Fields of `LiveConfig`; `set` changes them.

    Attributes
    ----------
    settings : LiveConfig
        The settings in use.
    n_channels, sample_rate : int
        Of the result.
    latency : int
        Samples of silence before the result of the first block.
    watchers : list of callable
        Each is called with every `StreamEvent`, in the thread of `process`; one that raises an
        error is no longer called, which is said.

    Raises
    ------
    ConfigurationError
        If model and database have different descriptors, a setting is out of range or needs the
        end of the target, or the database holds recordings at other speeds.
    DescError
        If a file of the database is missing or cannot be read.
    """

    def __init__(
        self,
        predictor: Predictor,
        matcher: Matcher,
        *,
        store: DescriptorStore | None = None,
        **settings: Any,
    ) -> None:
        _check(predictor, matcher)
        config, rendering = matcher.database.config, matcher.rendering
        self.settings = LiveConfig(**settings)
        self.watchers = Watchers()
        self._predictor, self._fade_ms = predictor, rendering.crossfade_ms
        predictor.model.eval()
        if matcher.standardizer is None:
            matcher = replace(matcher, standardizer=predictor.standardizer)
        self._sounds = LiveSounds(matcher)
        self._sounds.check_files(self.settings.files)
        self._sources = SteadySources(matcher.database, store or DescriptorStore())
        fixed = {"mono": 1, "stereo": 2}.get(rendering.channels)
        self.n_channels = fixed or self._sources.n_most_channels
        self.sample_rate = config.sample_rate
        mixer = Mixer(self._sources, self.n_channels)
        self._mix = GrowingMix(mixer, self.sample_rate, rendering, self._ended)
        frames = max(predictor.model.context_frames, round(HEARD_S * config.frame_rate)) + 1
        self._listener = Listener(config, frames)
        self._half_fade = round(self._fade_ms * self.sample_rate / 1000) // 2
        self.latency = config.hop_length - 1 + self._half_fade
        self._ready: deque[Audio] = deque([np.zeros((self.latency, self.n_channels), np.float32)])
        self._n_samples = self._frame = 0
        self._rollout: Rollout | None = None
        self._heard = self._joins = self._is_drawn = False
        self._loudest_db = -np.inf
        self._pulse: tuple[float, float] | None = None
        self._changes: dict[str, Any] = {}
        self._changing, self._jumps = threading.Lock(), False
        self._n_lost = 0
        self._usable = self._sounds.usable(self.settings.files, self._sources.lost)
        nothing = matcher.database.values[:0]
        self._units = UnitStream(self._sounds.of(self.settings), self._usable, nothing)
        self._began = self.settings.mode == "listen"

    def set(self, **settings: Any) -> None:
        """Change fields of `LiveConfig`, from any thread; they take effect at the next frame.

        A mode that is given begins anew, also if it is the mode in use: from now, or as soon as
        the 9 complete frames that `continue` and `duet` need were heard. `seed`, `sampling` and
        `replay_block` take effect where a mode begins.

        Raises
        ------
        ConfigurationError
            If a setting is unknown or out of range, or `files` matches none; nothing changes then.
        """
        unknown = sorted(set(settings) - set(LiveConfig.__dataclass_fields__))
        if unknown:
            known = ", ".join(LiveConfig.__dataclass_fields__)
            raise ConfigurationError(f"there is no setting {', '.join(unknown)}; there are {known}")
        changed = replace(self.settings, **settings)
        if "files" in settings:
            self._sounds.check_files(changed.files)
        with self._changing:
            self._changes |= settings

    def jump(self) -> None:
        """Begin a new unit in every layer at the next frame; from any thread."""
        with self._changing:
            self._jumps = True

    def set_pulse(self, period: float | None, beat: float = 0.0) -> None:
        """Play in time with a known pulse; from any thread.

        Parameters
        ----------
        period : float or None
            Samples between two beats; None: the pulse heard in the target counts.
        beat : float
            Sample of the stream at which a beat is.

        Raises
        ------
        ConfigurationError
            If the period is less than a sample, or a number is not finite.
        """
        if period is not None:
            check_number("period", period, 1.0)
            check(math.isfinite(beat), "beat", beat, "be finite")
        self._pulse = None if period is None else (period, beat)

    @property
    def n_samples(self) -> int:
        """Samples processed so far."""
        return self._n_samples

    @property
    def database(self) -> DescriptorDatabase:
        """The sounds."""
        return self._sounds.database

    @property
    def roots(self) -> dict[str, str]:
        """Folders of the events' files, as a playlist has them."""
        return {CORPUS: Path(os.path.abspath(self.database.root)).as_posix()}

    @property
    def pulse(self) -> complex:
        """The pulse at the last frame: its angle is 0 at a beat, 0 where there is none."""
        return self._units.pulse

    def process(self, block: Audio | None = None, n_samples: int | None = None) -> Audio:
        """Hear a block of the player's sound, and return as many samples of ours.

        Parameters
        ----------
        block : ndarray of float32, (n,) or (n, C), optional
            The player's sound at `sample_rate`, full scale 1; None: there is nothing to hear.
            What is not finite is 0; larger samples than 100 are cut.
        n_samples : int, optional
            Length of the result where there is no block; by default a hop.

        Returns
        -------
        ndarray of float32, (n, n_channels)

        Raises
        ------
        ConfigurationError
            If a block does not hold floats, or the length is no integer of at least 0.
        """
        hop = self._listener.config.hop_length
        if block is not None:
            block = in_mono(block)
            length = len(block)
        else:
            length = hop if n_samples is None else n_samples
            check_integer("n_samples", length, 0)
        done = 0
        while done < length:
            step = min(hop - self._n_samples % hop, length - done)
            if block is not None:
                self._listener.hear(block[done : done + step])
                self._heard = True
            self._n_samples += step
            done += step
            if self._n_samples % hop == 0:
                with one_thread():
                    self._tick()
        return self._take(length)

    def finish(self) -> Audio:
        """End what plays by a fade; return the rest of our sound (n, C)."""
        self.set(mode="listen")
        return self.process(None, 2 * self._listener.config.hop_length + self.latency)

    def close(self) -> None:
        """End what plays, and close all files."""
        try:
            for layer in self._mix.layers:
                self._mix.fade(layer)
        finally:
            self._sources.__exit__()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _take(self, length: int) -> Audio:
        """Return the next samples (length, C) of those that are ready."""
        result = np.empty((length, self.n_channels), np.float32)
        filled = 0
        while filled < length:
            first = self._ready.popleft()
            part = first[: length - filled]
            result[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) < len(first):
                self._ready.appendleft(first[len(part) :])
        return result

    def _tick(self) -> None:
        """Choose and mix the next frame."""
        self._change()
        hop = self._listener.config.hop_length
        target = self._target()
        if target is None:
            self._rest(0)
        else:
            pulse = None
            if self._pulse is not None:
                period, beat = self._pulse
                phase = (self._n_samples - beat) % period / period
                pulse = complex(np.exp(2j * np.pi * phase))
            self._play(self._units.next(target, pulse))
        self._frame += 1
        self._heard = False
        self._ready.append(self._mix.mix(max(0, self._frame * hop - self._half_fade)))

    def _change(self) -> None:
        """Take the settings that were given since the last frame."""
        with self._changing:
            changes, self._changes = self._changes, {}
            jumps, self._jumps = self._jumps, False
        if jumps:
            self._units.jump()
        self._began = self._began and "mode" not in changes
        self.settings = replace(self.settings, **changes)
        are_others = "files" in changes or len(self._sources.lost) > self._n_lost
        if are_others:
            self._n_lost = len(self._sources.lost)
            self._usable = self._sounds.usable(self.settings.files, self._sources.lost)
        if are_others or {"style", "continuity", "layers"} & set(changes):
            self._units.use(self._sounds.of(self.settings), self._usable)
        if self._rollout is not None and self._is_drawn:
            self._rollout.temperature = self.settings.temperature
        if not self._began:
            self._began = self._begin()

    def _begin(self) -> bool:
        """Begin the mode of the settings, if what was heard is enough for a context."""
        settings, self._rollout = self.settings, None
        if settings.mode == "listen":
            return True
        heard = self._listener.heard()
        complete = heard.values[heard.complete]
        if settings.mode == "follow":
            self._units.begin(complete[:-1])
            return True
        if len(complete) < MIN_FRAMES:
            return False
        self._units.begin(complete[-self._predictor.model.context_frames :])
        self._rollout = self._continued(heard, settings)
        self._is_drawn = settings.sampling != "mean"
        self._heard = False  # the newest frame is the last one of the context
        return True

    def _continued(self, heard: DescriptorSequence, settings: LiveConfig) -> Rollout:
        model = self._predictor.model
        context = torch.tensor(heard.complete_static[-model.context_frames :])[None]
        valid = torch.ones(context.shape[:2], dtype=torch.bool)
        names = "temperature", "sampling", "replay_block", "seed"
        sampling = Sampling(**{name: getattr(settings, name) for name in names})
        generator = recording_generator(settings.seed, heard.digest)
        return Rollout(model, context, valid, sampling, [generator])

    def _target(self) -> Values | None:
        """Return the descriptors (D,) to play next; None: silence."""
        mode, static_columns = self.settings.mode, self._listener.config.static_columns
        if mode == "follow":
            return self._player()
        if self._rollout is None:
            return None
        played, heard = self._player() if mode == "duet" else None, None
        if played is not None:
            device = self._predictor.model.space.mean.device
            heard = torch.tensor(played[static_columns])[None].to(device)
        with torch.inference_mode():
            static = self._rollout.raw(self._rollout.next(heard)[:, None])[0, 0]
        values = np.zeros(self._listener.config.n_columns, np.float32)
        values[static_columns] = static.cpu().numpy()
        return values

    def _player(self) -> Values | None:
        """Return the player's newest frame (D,), unless it is a pause."""
        if not self._heard:
            return None
        level_db = self._listener.level_db()
        self._loudest_db = max(self._loudest_db, level_db)
        is_pause = level_db < self._loudest_db + SOUNDING_DB or math.isinf(level_db)
        newest = self._listener.newest()  # in a pause, too: it keeps the loudest band
        return None if is_pause else newest

    def _play(self, played: list[Played]) -> None:
        """Begin or extend the event of each layer."""
        hop, onset = self._listener.config.hop_length, self._frame
        self._rest(len(played))
        for layer, one in enumerate(played):
            gain_db = one.gain_db
            if gain_db > MUTED_DB:
                gain_db = float(np.clip(gain_db + self.settings.level_db, MUTED_DB, 60.0))
            current = self._mix.event(layer)
            if current is not None and not one.is_new and current.gain_db == gain_db:
                self._mix.extend(layer, hop)
                continue
            unit = Unit(one.row, 1, onset, layer, gain_db=gain_db)
            event = unit_event(unit, self._sounds.database, self._fade_ms)
            self._joins = current is not None and not one.is_new
            self._mix.begin(event)
            self.watchers.tell(StreamEvent(False, event, self._joins))
            self._joins = False

    def _rest(self, first: int) -> None:
        """End layers from one on, by a fade in a last frame."""
        for layer in self._mix.layers:
            if layer >= first:
                self._mix.extend(layer, self._listener.config.hop_length)
                self._mix.fade(layer)

    def _ended(self, event: PlaylistEvent) -> None:
        self.watchers.tell(StreamEvent(True, event, self._joins))


def _check(predictor: Predictor, matcher: Matcher) -> None:
    """Refuse a model and a matcher that cannot be played live together."""
    config, fade_ms = matcher.database.config, matcher.rendering.crossfade_ms
    if predictor.config != config:
        raise ConfigurationError(
            f"the run and the database have different descriptors: {predictor.config} and "
            f"{config} must be equal"
        )
    hop_ms = 1000 * config.hop_length / config.sample_rate
    rule = f"be at most {hop_ms:g}, a hop, to be played live"
    check(fade_ms <= hop_ms, "crossfade_ms", fade_ms, rule)
    check_integer("layers", matcher.selection.layers, 1, MAX_LAYERS)
