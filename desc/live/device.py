"""`play_live`: a stream on a sound card."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from desc.audio import Audio
from desc.concatenation.mixing import to_channels
from desc.errors import ConfigurationError, DescError
from desc.live.engine import Engine
from desc.live.stream import Stream

logger = logging.getLogger(__name__)

INSTEAD = "--input and --output go from file to file without one"
RETRY_S = 1.0
"""Time between attempts to open a device that is lost."""
WATCH_S = 0.1
STALLED_S = 2.0
"""Time without a block after which a device counts as lost."""
SWITCH_S = 0.0005
"""Time after which Python lets another thread go on: the audio thread waits at most so long."""


def play_live(
    stream: Stream,
    *,
    device: str | None,
    block_size: int,
    watch: Callable[[Engine], bool],
    keep: Callable[[Audio], None] | None = None,
) -> None:
    """Play a stream on a sound card until told to end; a device that is lost is opened again.

    Parameters
    ----------
    stream : Stream
        The stream, whose sample rate the device must take.
    device : str or None
        Number or part of the name of a device, such as `JACK`; None: the system's choice.
    block_size : int
        Samples in a block of the device.
    watch : callable
        Called ten times a second, with the engine; returns whether to play on.
    keep : callable, optional
        Called with each block (n, C) that the stream makes.

    Raises
    ------
    ConfigurationError
        If the device cannot be opened at first.
    DescError
        If an error has ended the stream.
    """
    import sounddevice

    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with Engine(stream, block_size, keep) as engine:
            opened = _opened(sounddevice, engine, device, block_size)
            try:
                while engine.failure is None and watch(engine):
                    if opened is None or not _is_active(opened, engine):
                        opened = _again(sounddevice, engine, device, block_size, opened)
                    time.sleep(WATCH_S if opened is not None else RETRY_S)
            finally:
                _close(opened)
        if engine.failure is not None:
            raise DescError(f"the stream has ended: {engine.failure}") from engine.failure
    finally:
        sys.setswitchinterval(interval)


def _opened(sounddevice: Any, engine: Engine, device: str | None, block_size: int) -> Any:
    """Return the started stream of a device.

    Raises
    ------
    ConfigurationError
        If it is not there or cannot be opened.
    DescError
        If there is none at all.
    """
    chosen = int(device) if device is not None and device.isdigit() else device
    n_channels = engine.stream.n_channels

    def call(heard: Any, played: Any, n_samples: int, moment: Any, status: Any) -> None:  # noqa: ARG001
        played[:] = to_channels(engine.exchange(heard.copy(), n_samples), played.shape[1])

    try:
        most = sounddevice.query_devices(chosen, "output")["max_output_channels"]
    except (sounddevice.PortAudioError, ValueError) as error:
        if device is None:
            raise DescError(f"no sound device was found ({error}); {INSTEAD}") from error
        raise ConfigurationError(f"device={device!r} is not there: {error}; {INSTEAD}") from error
    opened = None
    try:
        opened = sounddevice.Stream(
            samplerate=engine.stream.sample_rate,
            blocksize=block_size,
            device=chosen,
            channels=(1, max(1, min(max(2, n_channels), most))),
            dtype="float32",
            callback=call,
        )
        engine.exchanged_at = time.monotonic()
        opened.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        _close(opened)
        raise ConfigurationError(
            f"device={device!r} cannot play {engine.stream.sample_rate} Hz, the rate of the "
            f"descriptors: {error}; {INSTEAD}"
        ) from error
    return opened


def _again(sounddevice: Any, engine: Engine, device: str | None, block_size: int, lost: Any) -> Any:
    """Return the device if it is back, else None."""
    if lost is not None:
        seconds = engine.stream.n_samples / engine.stream.sample_rate
        logger.warning("the sound device is lost at %.1f s; it is opened when it is back", seconds)
        _close(lost)
    with suppress(Exception):  # PortAudio lists the devices once, as it begins
        sounddevice._terminate()  # noqa: SLF001
        sounddevice._initialize()  # noqa: SLF001
    try:
        opened = _opened(sounddevice, engine, device, block_size)
    except DescError:
        return None
    seconds = engine.stream.n_samples / engine.stream.sample_rate
    logger.warning("the sound device is back at %.1f s", seconds)
    return opened


def _is_active(opened: Any, engine: Engine) -> bool:
    """Return whether a device runs and has exchanged a block of late."""
    with suppress(Exception):  # of a device that is gone
        return bool(opened.active) and time.monotonic() - engine.exchanged_at < STALLED_S
    return False


def _close(opened: Any) -> None:
    for end in () if opened is None else (opened.abort, opened.close):
        with suppress(Exception):  # of a device that is gone
            end()
