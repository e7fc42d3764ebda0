"""Networks of sound generation after a minute of CPU time, compared with references.

    python benchmarks/sound_generation.py RECORDING [--only vocos flow] [--held_out]

One core, 22.05 kHz / 1024 / 256 / 80. Vocoders are measured on eight one-second segments of the
training recording, mel generators on crops of 128 frames; with --held_out on its last tenth, which
is not used in training. The number of steps follows from the measured duration of a step and the
given CPU seconds; the actual time is printed. FD39 and FD80 are Fréchet distances of descriptors
and of mel frames. References are computed in the same run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measuring import Work, least_cpu_s

from desc.configuration import RunConfig
from desc.metrics.realism import frechet_distance
from desc.soundgen.flow_training import FlowTask
from desc.soundgen.griffin_lim import GriffinLim
from desc.soundgen.jobs import train_sound
from desc.soundgen.layers import fold_weights
from desc.soundgen.measures import (
    bins_apart,
    descriptor_config,
    descriptors,
    diversity,
    even_and_odd,
    fd39,
    frames_of,
    mel_l1,
    mel_l1_of_mean,
    mr_stft,
)
from desc.soundgen.mel import MelFrontEnd
from desc.soundgen.mel_flow import Components, MelFlow
from desc.soundgen.mel_generator import Bands, FlowSource, MelGenerator, UnaganSource
from desc.soundgen.mel_training import MelTask
from desc.soundgen.presets import preset
from desc.soundgen.recordings import Crops, SoundRecordings, even_clips, open_recordings
from desc.soundgen.settings import (
    FlowConfig,
    FlowTraining,
    MelConfig,
    UnaganConfig,
    UnaganTraining,
    VocoderConfig,
    VocoderTraining,
)
from desc.soundgen.task import SoundTask
from desc.soundgen.unagan import UnaganGenerator
from desc.soundgen.unagan_training import UnaganTask
from desc.soundgen.vocoder import Vocoder, create_generator
from desc.soundgen.vocoder_training import VocoderTask

MEL = MelConfig(sample_rate=22050)
SHOWN_S = 60  # of the recording, for FD39
TIMED_STEPS = 12
KINDS = ("vocos", "melgan", "unagan", "no_cycle", "flow", "speed")


def trained(make: type[SoundTask], name: str, settings: tuple, recordings: SoundRecordings,
            cpu_s: float) -> tuple[SoundTask, int, float]:  # fmt: skip
    """Train for about so many processor seconds; return the task with the mean in place."""
    probe = make(*settings, recordings)
    probe.step(0, 0)
    began = time.process_time()
    for step in range(1, TIMED_STEPS):
        probe.step(step, 0)
    step_s = (time.process_time() - began) / (TIMED_STEPS - 1)
    steps = max(TIMED_STEPS, round(0.95 * cpu_s / step_s))
    training = replace(settings[2], steps=steps, save_interval=steps)
    kept: list[SoundTask] = []

    def keep(*parts: object, **options: object) -> SoundTask:
        kept.append(make(*parts, **options))
        return kept[0]

    with tempfile.TemporaryDirectory() as folder:
        run = RunConfig(experiment_dir=folder, offline=True)
        began = time.process_time()
        train_sound(keep, name, lambda _: recordings, (*settings[:2], training), run)
        took = time.process_time() - began
    task = kept[0]
    task.networks["generator"].load_state_dict(task.average.state_dict())
    task.networks["generator"].eval()
    return task, steps, took


def vocoders(recordings: SoundRecordings, names: list[str], cpu_s: float, share: float) -> None:
    front_end = MelFrontEnd(MEL)
    sound = recordings.sounds[0]
    tested = recordings.split(share)[1] if share else [sound]
    clips = torch.from_numpy(even_clips(tested, 8, 22050 - 22050 % 256))
    shown = torch.from_numpy(sound[: SHOWN_S * 22050 // 256 * 256])[None]
    real = descriptors([shown[0].numpy()], 22050)
    rate = descriptor_config(22050).frame_rate
    even, odd = even_and_odd(real, rate)
    gl = GriffinLim(MEL)
    mean_mel = mel_l1_of_mean(front_end, clips)
    gl_clips, silence = gl(front_end(clips)), torch.zeros_like(clips)
    gl_stft, real_fd = mr_stft(gl_clips, clips), fd39(odd, even)
    gl_fd = fd39(descriptors([gl(front_end(shown))[0].numpy()], 22050), real)
    print(f"{'':24}{'mel L1':>8}{'/ mean':>8}{'MR-STFT':>9}{'FD39':>8}{'/ real':>8}  steps  cpu s")
    print(
        f"{'silence':24}{mel_l1(front_end, silence, clips):8.3f}{'':8}"
        f"{mr_stft(silence, clips):9.3f}"
    )
    print(f"{'mean mel':24}{mean_mel:8.3f}{1:8.2f}")
    print(f"{'Griffin-Lim':24}{mel_l1(front_end, gl_clips, clips):8.3f}"
          f"{mel_l1(front_end, gl_clips, clips) / mean_mel:8.2f}{gl_stft:9.3f}{gl_fd:8.2f}"
          f"{gl_fd / real_fd:8.2f}")  # fmt: skip
    print(f"{'real even/odd seconds':24}{'':25}{real_fd:8.2f}{1:8.2f}")
    for name in names:
        model = replace(preset(VocoderConfig, "small"), vocoder=name)
        training = replace(preset(VocoderTraining, "small", of=name), validation_share=share)
        task, steps, took = trained(VocoderTask, name, (MEL, model, training), recordings, cpu_s)
        generator = task.networks["generator"]
        with torch.no_grad():
            made = generator(front_end(clips))
            whole = generator(front_end(shown))
        l1, fd = mel_l1(front_end, made, clips), fd39(descriptors([whole[0].numpy()], 22050), real)
        stft = mr_stft(made, clips)
        print(f"{name + ' small':24}{l1:8.3f}{l1 / mean_mel:8.2f}{stft:9.3f}{fd:8.2f}"
              f"{fd / real_fd:8.2f}  {steps:5}  {took:.0f}")  # fmt: skip


def mel_generators(
    recordings: SoundRecordings, names: list[str], cpu_s: float, share: float
) -> None:
    print(
        f"{'':24}{'FD80':>8}{'/ noise':>8}{'/ real':>8}{'NDB':>5}{'JS':>7}{'div':>7}  steps  cpu s"
    )
    unagan = (UnaganTask, preset(UnaganConfig, "small"), preset(UnaganTraining, "small"))
    kinds = {
        "unagan": unagan,
        "no_cycle": (UnaganTask, replace(unagan[1], cycle=False), unagan[2]),
        "flow": (FlowTask, preset(FlowConfig, "small"), preset(FlowTraining, "small")),
    }
    for index, name in enumerate(names):
        make, model, training = kinds[name]
        settings = (MEL, model, replace(training, validation_share=share))
        task, steps, took = trained(make, make.__name__, settings, recordings, cpu_s)
        assert isinstance(task, MelTask)
        tested = task.held_out if share else task.learned
        frames = np.concatenate(tested, 1).T.astype(float)
        even, odd = even_and_odd(frames, MEL.frame_rate)
        noise = np.random.default_rng(0).standard_normal(frames.shape)
        noise_fd, real_fd = frechet_distance(noise, frames), frechet_distance(odd, even)
        half = len(frames) // 2
        references = {
            "real even/odd seconds": (odd, even),
            "real halves": (frames[half:], frames[:half]),
            "Gaussian frames": (noise, frames),
        }
        random = torch.Generator().manual_seed(1)
        made = {name: task.generate(64, 128, random).numpy()}
        if isinstance(task, FlowTask):
            numbers = task.flow.noise(64, 128, random).numpy() * task.level
            made = {"noise of its spectrum": task.basis @ numbers} | made
        real = diversity(Crops(tested, 128, 64, seed=5).batch(0)[:16])
        rows = references if index == 0 else {}
        rows = rows | {label: (frames_of(m).astype(float), frames) for label, m in made.items()}
        for label, (x, y) in rows.items():
            fd, (ndb, js) = frechet_distance(x, y), bins_apart(x, y)
            line = f"{label:24}{fd:8.1f}{fd / noise_fd:8.2f}{fd / real_fd:8.2f}{ndb:5}{js:7.3f}"
            end = f"{diversity(made[label][:16]) / real:7.2f}" if label in made else ""
            end += f"  {steps:5}  {took:.0f}" if label == name else ""
            print(line + end, flush=True)


def generating(duration_s: float) -> dict[str, Work]:
    """Return each network generating so many seconds at 44.1 kHz, hop 256, by name."""
    n_frames = round(duration_s * 44100 / 256)
    mel = torch.randn(80, n_frames) - 2
    works: dict[str, Work] = {}
    for name, sizes in (
        ("vocos small", replace(preset(VocoderConfig, "small"), vocoder="vocos")),
        ("vocos published", VocoderConfig(vocoder="vocos")),
        ("melgan small", preset(VocoderConfig, "small")),
        ("melgan published", VocoderConfig()),
    ):
        network = fold_weights(create_generator(sizes, MelConfig()))
        vocoder = Vocoder("", name, MelConfig(), network)
        works[name] = lambda v=vocoder: v(mel)
    unagan, flow = preset(UnaganConfig, "small"), preset(FlowConfig, "small")
    sources = {
        "unagan small": UnaganSource(UnaganGenerator(80, unagan.z_dim, unagan.width)),
        "flow small": FlowSource(
            MelFlow(flow.n_components, flow.width, flow.num_layers),
            Components(torch.zeros(80, flow.n_components), torch.zeros(1, 1), torch.ones(1, 1)),
            flow.flow_steps,
        ),
    }  # fmt: skip
    one = torch.ones(80, 1)
    for name, source in sources.items():
        generator = MelGenerator("", MelConfig(), source, Bands(one, one, -one, one), 1.0)
        works[name] = lambda g=generator: list(g.blocks(n_frames, 0))
    return works


def speed() -> None:
    """Print how many times faster than real time one core generates."""
    took = least_cpu_s(generating(20))
    for pair in ("unagan small", "flow small"):
        took[f"{pair} + vocos small"] = took[pair] + took["vocos small"]
    for name, cpu_s in took.items():
        print(f"{name:28}{20 / cpu_s:8.1f} × real time at 44.1 kHz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="?", help="not needed for speed alone")
    parser.add_argument("--only", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--held_out", action="store_true")
    parser.add_argument("--vocoder_s", type=float, default=60.0)
    parser.add_argument("--mel_s", type=float, default=90.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only != ["speed"]:
        recordings = open_recordings(args.recording, MEL.sample_rate)
        share = 0.1 if args.held_out else 0.0
        tested = "its last tenth, held out" if share else "itself"
        print(f"{args.recording.name}, {recordings.duration_s:.0f} s, measured on {tested}")
        names = [n for n in ("vocos", "melgan") if n in args.only]
        if names:
            vocoders(recordings, names, args.vocoder_s, share)
        generators = [n for n in ("unagan", "no_cycle", "flow") if n in args.only]
        if generators:
            mel_generators(recordings, generators, args.mel_s, share)
    if "speed" in args.only:
        speed()


if __name__ == "__main__":
    main()
