"""Draw `_static/img/selection_*.png`: what each method of selection makes of the demo corpus.

python docs/draw_selection.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import librosa
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

import desc
from desc import audio
from desc.demo.corpus import write_corpus

OUTPUT = Path(__file__).parents[1] / "_static" / "img"
RECORDING = "02 procession.wav"
N_FRAMES, START = 258, 430  # 6 s from 10 s on
METHODS = {
    "nearest": desc.SelectionConfig(selection="nearest"),
    "grains": desc.SelectionConfig.styled("granular", units="grain"),
    "onsets": desc.SelectionConfig.styled("granular", units="onset"),
    "beam": desc.SelectionConfig.styled("granular"),
    "layers": desc.SelectionConfig.styled("granular", layers=2),
}


def draw(name: str, title: str, sound: npt.NDArray[np.float32], joins: list[float]) -> None:
    """Write one picture: mel bands in dB over time, a mark above at each join."""
    power = librosa.feature.melspectrogram(y=sound, sr=44100, n_fft=2048, hop_length=512)
    level = librosa.power_to_db(power, ref=10.0, top_db=None)
    figure, axes = plt.subplots(figsize=(7, 2.2), layout="constrained")
    extent = (0, len(sound) / 44100, 0, 128)
    axes.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=-50, vmax=25)
    axes.vlines(joins, 128, 134, color="tab:red", lw=0.7, clip_on=False)
    axes.set(xlabel="s", ylabel="mel band", ylim=(0, 128))
    axes.set_title(f"{title}, {len(joins)} joins" if joins else title, pad=9, fontsize=10)
    figure.savefig(OUTPUT / f"selection_{name}.png", dpi=90, pil_kwargs={"optimize": True})
    plt.close(figure)


def main() -> None:
    """Draw the target, then what each method makes of it."""
    config, rendering = desc.DescriptorConfig(), desc.RenderConfig(subtype="FLOAT", channels="mono")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_corpus(work, 0)
        store = desc.DescriptorStore(work / "cache")
        corpus = desc.open_corpus(work / "database", config, store)
        database = desc.DescriptorDatabase.from_corpus(corpus, store)
        recording = work / "recordings" / RECORDING
        target = desc.extract(recording, config).values[START : START + N_FRAMES]
        first = START * config.hop_length - config.hop_length // 2
        sound = audio.read(recording).mean(0)[first : first + N_FRAMES * config.hop_length]
        draw("target", "target: an excerpt", sound, [])
        for name, settings in METHODS.items():
            matcher = desc.Matcher(database, selection=settings, rendering=rendering)
            match = matcher.match(target)
            clip = desc.render(match.playlist, store=store, rendering=rendering)
            joins = sorted({u.onset_frame / config.frame_rate for u in match.units} - {0})
            draw(name, name, clip.samples[:, 0], joins)


if __name__ == "__main__":
    main()
