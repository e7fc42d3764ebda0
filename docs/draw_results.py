"""Make `_static/img/demo_*.png` and `_static/sound/demo.mp3` from the result of `desc demo`.

python docs/draw_results.py [FOLDER]

FOLDER is where the demo works; what an earlier one left there is used again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import librosa
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import soundfile

import desc
from desc import audio
from desc.demo.job import RECORDING, RENDERING, run_demo
from desc.report import ResultView
from desc.report.plots import plot_result, plot_run
from desc.report.run import RunView

OUTPUT = Path(__file__).parents[1] / "_static" / "img"
LISTEN = OUTPUT.parent / "sound" / "demo.mp3"
RATE = 44100


def mel_level(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return mel bands (128, T) in dB of mono sound (S,)."""
    power = librosa.feature.melspectrogram(y=sound, sr=RATE, n_fft=2048, hop_length=512)
    level: npt.NDArray[np.float32] = librosa.power_to_db(power, ref=10.0, top_db=None)
    return level


def draw_example(heard: npt.NDArray[np.float32], playlist: desc.Playlist, path: Path) -> None:
    """Draw the recording's end, the continuation behind it, and the files that sound in it."""
    before_s, length_s = RENDERING.with_recording_s, len(heard) / RATE
    units = [event for event in playlist.events if event.root == "corpus"]
    files = sorted({event.source for event in units})
    figure, (top, low) = plt.subplots(
        2, 1, figsize=(9, 4), sharex=True, height_ratios=(2.4, 1), layout="constrained"
    )
    extent = (0, length_s, 0, 128)
    top.imshow(mel_level(heard), origin="lower", aspect="auto", extent=extent, vmin=-50, vmax=25)
    top.axvline(before_s, color="white", lw=1.5)
    top.set(ylabel="mel band", xlim=(0, length_s))
    top.set_title("the recording's end", loc="left", fontsize=10)
    top.set_title("its continuation, made of other recordings", loc="right", fontsize=10)
    low.broken_barh([(0, before_s)], (-0.4, 0.8), color="0.6")
    for unit in units:
        place = files.index(unit.source)
        span = (unit.onset_sample / RATE, unit.n_samples / RATE)
        low.broken_barh([span], (place + 0.6, 0.8), color=f"C{place}", edgecolor="white", lw=0.6)
    low.set(xlabel="s", yticks=range(len(files) + 1), ylim=(len(files) + 0.6, -0.6))
    low.set_yticklabels([RECORDING, *(Path(name).name for name in files)], fontsize=8)
    figure.savefig(path, dpi=110, pil_kwargs={"optimize": True})
    plt.close(figure)


def main(folder: Path) -> None:
    """Run the demo and draw its result and its run."""
    store = desc.DescriptorStore(folder / "cache")
    where = desc.RunConfig(experiment_dir=str(folder / "experiments"), offline=True)
    made = run_demo(folder / "desc-demo", store=store, run=where)
    result = made.continuation.outcomes[0].folder
    sound = audio.read(result / "prediction.wav")
    soundfile.write(LISTEN, sound.T, RATE, bitrate_mode="VARIABLE", compression_level=0.5)
    playlist = desc.Playlist.load(result / "playlist.json")
    draw_example(sound.mean(0), playlist, OUTPUT / "demo_example.png")
    pictures = folder / "pictures"
    run = RunView.load(desc.resolve_run(made.run_id, where), store)
    drawn = plot_result(ResultView.load(result), pictures, "png")
    drawn += plot_run(run, pictures, "png")
    for path in drawn:
        if path.stem in ("map", "losses"):
            (OUTPUT / f"demo_{path.name}").write_bytes(path.read_bytes())


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as work:
            main(Path(work))
