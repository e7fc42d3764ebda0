"""`play_live`: a stream on a sound card."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from desc.audio import Audio
from desc.concatenation.mixing import to_channels
from desc.errors import ConfigurationError
from desc.live.engine import Engine
from desc.live.stream import Stream

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""Time between attempts to open a device that is lost."""
WATCH_S = 0.1
SWITCH_S = 0.0005
"""Time after which Python lets another thread go on: the audio thread waits at most so long."""


def play_live(
    stream: Stream,
    *,
    device: str | None,
    block_size: int,
    watch: Callable[[Engine], None],
    keep: Callable[[Audio], None] | None = None,
) -> None:
    """Play a stream on a sound card until Ctrl-C; a device that is lost is opened again.

    Parameters
    ----------
    stream : Stream
        The stream, whose sample rate the device must take.
    device : str or None
        Number or part of the name of a device, such as `JACK`; None: the system's choice.
    block_size : int
        Samples in a block of the device.
    watch : callable
        Called ten times a second, with the engine.
    keep : callable, optional
        Called with each block (n, C) that the stream makes.

    Raises
    ------
    ConfigurationError
        If the device cannot be opened at first.
    """
    import sounddevice

    ended = threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with Engine(stream, 2 * block_size, keep) as engine:
            opened = _opened(sounddevice, engine, device, block_size)
            try:
                while engine.failure is None:
                    if opened is None or not opened.active:
                        opened = _again(sounddevice, engine, device, block_size, opened)
                    watch(engine)
                    ended.wait(WATCH_S if opened is not None else RETRY_S)
            finally:
                _close(opened)
    finally:
        sys.setswitchinterval(interval)


def _opened(sounddevice: Any, engine: Engine, device: str | None, block_size: int) -> Any:
    """Return the started stream of a device.

    Raises
    ------
    ConfigurationError
        If it cannot be opened.
    """
    chosen = int(device) if device is not None and device.isdigit() else device
    n_channels = engine.stream.n_channels

    def call(heard: Any, played: Any, n_samples: int, time: Any, status: Any) -> None:  # noqa: ARG001
        played[:] = to_channels(engine.exchange(heard.copy(), n_samples), played.shape[1])

    try:
        most = sounddevice.query_devices(chosen, "output")["max_output_channels"]
        opened = sounddevice.Stream(
            samplerate=engine.stream.sample_rate,
            blocksize=block_size,
            device=chosen,
            channels=(1, max(1, min(max(2, n_channels), most))),
            dtype="float32",
            callback=call,
        )
        opened.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ConfigurationError(
            f"device={device!r} cannot play {engine.stream.sample_rate} Hz, the rate of the "
            f"descriptors: {error}; --input and --output go from file to file without one"
        ) from error
    return opened


def _again(sounddevice: Any, engine: Engine, device: str | None, block_size: int, lost: Any) -> Any:
    """Return the device if it is back, else None."""
    if lost is not None:
        logger.warning("the sound device is lost; it is opened again when it is back")
        _close(lost)
    try:
        opened = _opened(sounddevice, engine, device, block_size)
    except ConfigurationError:
        return None
    logger.warning("the sound device is back")
    return opened


def _close(opened: Any) -> None:
    if opened is not None:
        with suppress(Exception):  # of a device that is gone
            opened.abort()
            opened.close()
