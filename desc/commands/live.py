"""`desc live`: a continuation that plays while you play."""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desc.commands.console import Console, counted
from desc.commands.folders import open_folder
from desc.commands.live_display import Display
from desc.commands.options import (
    add_accelerator_option,
    add_audio_option,
    add_corpus_options,
    add_options,
    add_switch,
    from_options,
)
from desc.commands.predict import add_matching_options, check_apart, selection_from
from desc.configuration import (
    LiveConfig,
    QueryConfig,
    RenderConfig,
    RunConfig,
    check,
    check_integer,
    check_number,
)
from desc.errors import ConfigurationError, CorpusError, DescError, OutputError

if TYPE_CHECKING:
    from desc.engine.stopping import StopCondition
    from desc.live import Stream
    from desc.live.engine import Engine, Figures
    from desc.live.recording import LiveRecorder
    from desc.storage import DescriptorStore

MOST_USED = "run_id audio_db_dir mode style input output record_dir device open_browser osc_port"
EXAMPLES = (
    "desc live --run_id last --audio_db_dir sounds/ --mode duet --open_browser",
    "desc live --run_id last --audio_db_dir sounds/ --input song.wav --output answer.wav",
    "desc live --run_id last --audio_db_dir sounds/ --osc_send 127.0.0.1:9001 --record_dir set1",
)
OF_SELECTION = "style", "continuity", "layers"
NOT_LIVE = (
    *("match_space", "selection", "max_use", "beam_width", "unit_temperature"),
    *("transpose_semitones", "output_sample_rate", "with_recording_s"),
    *("neighbours", "allow_self_match"),
)
"""Settings of matching and rendering that need the end of a target, or have no use here."""
OSC_PORT = 9000
ANY_RATE = 48000
"""A rate that each kind of file can have, in Hz."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `desc live`."""
    main = parser.add_argument_group("input and output")
    main.add_argument("--run_id", required=True, metavar="ID", help="run id, or a run's folder")
    add_audio_option(main, "folder of sounds to play with")
    texts = {
        "input": "play along with this file, as fast as possible, instead of the sound card",
        "output": "what is played with --input, as a file",
        "record_dir": "keep what is played in this folder: WAV, playlist and DAW project",
        "device": "sound card: its number or a part of its name, such as JACK [default: the "
        "system's]",
    }
    for name, text in texts.items():
        metavar = {"record_dir": "DIR", "device": "NAME"}.get(name, "FILE")
        main.add_argument(f"--{name}", metavar=metavar, help=text)
    text = "time to play on after --input [seconds, default 0; with --mode continue 20]"
    main.add_argument("--after_s", type=float, metavar="SECONDS", help=text)
    text = "samples in a block of the sound card [default 1024]"
    main.add_argument("--block_size", type=int, default=1024, metavar="N", help=text)
    add_switch(main, "--overwrite", "replace an earlier output or recording")
    add_accelerator_option(main)
    add_corpus_options(main)
    control = parser.add_argument_group("control")
    add_switch(control, "--open_browser", "show a page: map, units, levels, settings")
    text = "port of the page on 127.0.0.1 [default: any free port, with --open_browser]"
    control.add_argument("--page_port", type=int, metavar="N", help=text)
    text = f"port for OSC [default {OSC_PORT}, with --input none; 0: any free port, -1: none]"
    control.add_argument("--osc_port", type=int, metavar="N", help=text)
    text = "address that OSC is received on [default 127.0.0.1: this machine alone]"
    control.add_argument("--osc_host", default="127.0.0.1", metavar="HOST", help=text)
    text = "where units and levels are sent by OSC [default: nowhere]"
    control.add_argument("--osc_send", metavar="HOST:PORT", help=text)
    for kind in ("in", "out"):
        text = f"MIDI {kind}put: part of a port's name, or virtual [default: none]"
        control.add_argument(f"--midi_{kind}", metavar="NAME", help=text)
    group = parser.add_argument_group("live settings, which OSC and MIDI change")
    add_options(group, LiveConfig, exclude=OF_SELECTION)
    add_matching_options(parser, exclude=NOT_LIVE)
    add_options(parser.add_argument_group("run"), RunConfig, exclude=("name",))


def run(args: argparse.Namespace) -> int:
    """Play until the file ends, or until Ctrl-C; print what was written."""
    _check(args)
    with Console(args.quiet) as console, ExitStack() as stack:
        from desc.engine.stopping import StopCondition
        from desc.live.recording import PLAYLIST, LiveRecorder, check_free

        if args.record_dir is not None:
            check_free(args.record_dir, overwrite=args.overwrite)
        stream, store = _stream(args)
        told = _open_controls(stream, args, stack, console)
        stack.enter_context(stream)  # it ends before OSC and MIDI do, which tell of its last units
        recorder = None
        if args.record_dir is not None:
            recorder = LiveRecorder(stream, args.record_dir, store, overwrite=args.overwrite)
            stack.enter_context(recorder)
        interrupt, play = StopCondition(), _play_card if args.input is None else _play_file
        with suppress(KeyboardInterrupt), interrupt.on_signals():  # a second Ctrl-C stops at once
            play(stream, args, recorder, Display(stream, console, told), interrupt)
        if interrupt.signal is not None:
            console.note("ended")
        with StopCondition().on_signals():  # a further Ctrl-C does not stop the writing
            stack.close()
        if recorder is not None and (recorder.folder / PLAYLIST).exists():
            console.result(f"recorded → {recorder.folder}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    check_integer("osc_port", _osc_port(args), -1, 65535)
    _address(args.osc_send)
    if args.osc_send is not None and _osc_port(args) < 0:
        raise ConfigurationError("osc_send must be given with osc_port")
    if args.page_port is not None:
        check_integer("page_port", args.page_port, 0, 65535)
    check_integer("block_size", args.block_size, 16, 16384)
    if args.after_s is not None:
        check_number("after_s", args.after_s, 0.0)
    _check_files(args)


def _check_files(args: argparse.Namespace) -> None:
    """Refuse files and options of them that do not go together."""
    if args.output is None and "subtype" in vars(args):
        raise ConfigurationError("subtype must be given with output; a recording is always float")
    if args.input is None:
        for name in ("output", "after_s"):
            if getattr(args, name) is not None:
                raise ConfigurationError(f"{name} must be given with input")
    elif args.output is None and args.record_dir is None:
        raise ConfigurationError("input must be given with output or record_dir")
    elif args.device is not None:
        raise ConfigurationError("device and input do not go together: input needs no sound card")
    for name in ("record_dir", "output"):
        if getattr(args, name) is not None:
            check_apart(getattr(args, name), args.audio_db_dir, name)
    if args.output is not None:
        is_input = Path(args.output).resolve() == Path(args.input).resolve()
        check(not is_input, "output", args.output, "be another file than input")
        if Path(args.output).exists() and not args.overwrite:
            raise OutputError(f"{args.output}: exists; choose another name, or give --overwrite")
        _encoding(args, ANY_RATE)
    if args.input is not None and not Path(args.input).is_file():
        is_there = Path(args.input).exists()
        raise CorpusError(f"{args.input}: {'must be a file' if is_there else 'no such file'}")


def _osc_port(args: argparse.Namespace) -> int:
    """Return the port for OSC, -1 for none."""
    default = OSC_PORT if args.input is None else -1
    return default if args.osc_port is None else args.osc_port


def _stream(args: argparse.Namespace) -> tuple[Stream, DescriptorStore]:
    """Return the stream of a run and a folder of sounds, and the cache."""
    # Style, continuity and layers are those of the selection until OSC or MIDI changes them.
    settings = from_options(LiveConfig, args, **dict.fromkeys(OF_SELECTION))
    run_config = from_options(RunConfig, args)
    choices: dict[str, Any] = {
        "query": from_options(QueryConfig, args),
        "selection": selection_from(args),
        "rendering": from_options(RenderConfig, args),
    }
    from desc.database import DescriptorDatabase
    from desc.live import Stream
    from desc.matching import Matcher
    from desc.prediction import Predictor
    from desc.runs import resolve_run
    from desc.storage import DescriptorStore

    store = DescriptorStore(args.cache_dir)
    record = resolve_run(args.run_id, run_config, store.cache_dir / "runs")
    predictor = Predictor.from_run(record, accelerator=args.accelerator)
    corpus = open_folder(args.audio_db_dir, predictor.config, store, args).with_sound()
    database = DescriptorDatabase.from_corpus(corpus, store)
    matcher = Matcher(database, predictor.standardizer, **choices)
    return Stream(predictor, matcher, store=store, **vars(settings)), store


def _open_controls(
    stream: Stream, args: argparse.Namespace, stack: ExitStack, console: Console
) -> list[Callable[[Figures], None]]:
    """Open OSC, MIDI and the page until the stack ends; return what is told the figures."""
    told: list[Callable[[Figures], None]] = []
    if _osc_port(args) >= 0:
        from desc.live.osc import OscControl

        send_to = _address(args.osc_send)
        osc = stack.enter_context(OscControl(stream, _osc_port(args), args.osc_host, send_to))
        console.note(f"OSC is received on {args.osc_host}:{osc.port}")
        told.append(osc.send_figures)
    if args.open_browser or args.page_port is not None:
        told.append(_open_page(stream, args, stack, console))
    _open_midi(stream, args, stack)
    return told


def _play_file(
    stream: Stream,
    args: argparse.Namespace,
    recorder: LiveRecorder | None,
    display: Display,
    interrupt: StopCondition,
) -> None:
    """Play along with a file, then alone for a while."""
    import numpy as np

    from desc.audio import AudioWriter
    from desc.live.engine import Figures

    figures, peak, console = Figures(), 0.0, display.console
    started, kind = time.process_time(), ""
    with ExitStack() as stack:
        writer = None
        if args.output is not None:
            kind, rate = _encoding(args, stream.sample_rate)
            rule = f"hold {stream.sample_rate} Hz"
            check(rate == stream.sample_rate, "output", args.output, rule)
            writer = stack.enter_context(AudioWriter(args.output, rate, stream.n_channels, kind))
        stack.enter_context(suppress(KeyboardInterrupt))  # after a second Ctrl-C the file is kept
        for played in _played(stream, args, figures, interrupt):
            peak = max(peak, float(np.abs(played).max(initial=0)))
            if writer is not None:
                writer.write(played.T)
            if recorder is not None:
                recorder.write(played)
            display.show(figures)
    display.end()
    seconds = stream.n_samples / stream.sample_rate
    load = (time.process_time() - started) / max(seconds, 1e-9)
    if peak > 1 and kind.startswith("PCM"):
        level_db = stream.settings.level_db - math.ceil(200 * math.log10(peak)) / 10
        text = f"the peak is {peak:.2f}, so {args.output} is clipped"
        console.note(f"{text}; --level_db {level_db:.1f} or --subtype FLOAT avoids it")
    if args.output is not None:
        units = counted(display.n_units, "unit")
        console.result(f"{args.input} → {args.output} ({seconds:.1f} s, {units}, load {load:.0%})")


def _encoding(args: argparse.Namespace, sample_rate: int) -> tuple[str, int]:
    """Return the sample format and rate of the output, whose ending must allow the format."""
    from desc.audio import encoding_of, format_of

    kind, rate = encoding_of(args.output, from_options(RenderConfig, args).subtype, sample_rate)
    format_of(Path(args.output), kind)
    return kind, rate


def _played(
    stream: Stream, args: argparse.Namespace, figures: Figures, interrupt: StopCondition
) -> Iterator[Any]:
    """Yield what is played along with the file and after it, up to the end of the last unit.

    After Ctrl-C the last unit ends at once.
    """
    from desc import audio
    from desc.descriptors.sequence import MIN_FRAMES
    from desc.live.engine import play_through

    continues = stream.settings.mode == "continue"
    if continues:
        stream.set(mode="listen")
    after_s = (20.0 if continues else 0.0) if args.after_s is None else args.after_s
    n_after = math.ceil(after_s * stream.sample_rate / args.block_size)

    def heard() -> Iterator[Any]:
        for block in audio.read_blocks(args.input, stream.sample_rate, args.block_size):
            yield block.T
        if continues:
            complete = stream.database.config.complete_frames(stream.n_samples)
            if complete.stop - complete.start < MIN_FRAMES:
                raise DescError(
                    f"{args.input}: must have {MIN_FRAMES} complete frames to be continued"
                )
            stream.set(mode="continue")
        for _ in range(n_after):
            yield None

    for played in play_through(stream, heard(), figures, args.block_size):
        yield played
        if interrupt.signal is not None:
            break
    yield stream.finish()


def _play_card(
    stream: Stream,
    args: argparse.Namespace,
    recorder: LiveRecorder | None,
    display: Display,
    interrupt: StopCondition,
) -> None:
    """Play on the sound card until Ctrl-C."""
    from desc.live.device import play_live

    def watch(engine: Engine) -> bool:
        display.show(engine.figures)
        return interrupt.signal is None

    keep: Callable[[Any], None] | None = None if recorder is None else recorder.write
    display.console.note("press Ctrl-C to end")
    try:
        play_live(stream, device=args.device, block_size=args.block_size, watch=watch, keep=keep)
    finally:
        display.end()


def _open_page(
    stream: Stream, args: argparse.Namespace, stack: ExitStack, console: Console
) -> Callable[[Figures], None]:
    """Serve the page of the stream until the stack ends; return what shows its figures."""
    from desc.studio import Atlas, LiveRoom, LocalServer

    end = partial(signal.raise_signal, signal.SIGTERM)
    room = stack.enter_context(LiveRoom(stream, Atlas.of(stream.database), end))
    server = stack.enter_context(LocalServer(room, args.page_port or 0).in_background())
    console.result(server.url)
    if args.open_browser:
        import webbrowser

        webbrowser.open(server.url)
    return room.show


def _open_midi(stream: Stream, args: argparse.Namespace, stack: ExitStack) -> None:
    """Open the MIDI ports that are given."""
    if args.midi_in is None and args.midi_out is None:
        return
    from desc.live.midi import MidiControl, open_port

    send = None
    if args.midi_out is not None:
        output = open_port(args.midi_out, "output")
        stack.callback(output.close)
        send = output.send
    control = stack.enter_context(MidiControl(stream, send))
    if args.midi_in is not None:
        stack.callback(open_port(args.midi_in, "input", control.receive).close)


def _address(text: str | None) -> tuple[str, int] | None:
    """Read HOST:PORT."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    is_port = port.isdigit() and 0 < int(port) < 1 << 16
    check(bool(host) and is_port, "osc_send", text, "be HOST:PORT, such as 127.0.0.1:9001")
    return host, int(port)
