"""Draw the three diagrams of the README to `_static/img/`, as SVG and PNG.

python docs/draw_diagrams.py [FOLDER]

The same version of matplotlib writes the same bytes each time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle

OUTPUT = Path(__file__).parents[1] / "_static" / "img"
STYLE = {"svg.hashsalt": "descriptor-transformer", "font.family": "DejaVu Sans"}
PAPER, INK, GREY = "#fbfaf7", "#22262e", "#626a78"  # its own ground: on white and on dark pages
SOUND, NUMBER, ACTION, RESULT = "#cfe3f5", "#dcefd8", "#fbe3bd", "#f4d2d8"
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A box about (x, y), `width` by `height`, in inches."""

    x: float
    y: float
    width: float
    height: float

    def side(self, name: str, shift: float = 0.0) -> Point:
        """Return the middle of a side, moved along it by `shift`."""
        dx, dy = {"left": (-1, 0), "right": (1, 0), "top": (0, 1), "bottom": (0, -1)}[name]
        along = (0, shift) if dx else (shift, 0)
        return (
            self.x + dx * self.width / 2 + along[0],
            self.y + dy * self.height / 2 + along[1],
        )


class Diagram:
    """A sheet of paper with boxes and arrows; positions are inches from its lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = plt.figure(figsize=(width, height), facecolor=PAPER)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def store(self, box: Box, title: str, text: str = "", color: str = SOUND) -> Box:
        """Draw a collection as a cylinder."""
        lid = 0.24
        style = {"facecolor": color, "edgecolor": INK, "lw": 1.2}
        left, low, high = box.x - box.width / 2, box.side("bottom")[1], box.side("top")[1]
        self.axes.add_patch(Ellipse((box.x, low + lid / 2), box.width, lid, **style))
        self.axes.add_patch(
            Rectangle((left, low + lid / 2), box.width, box.height - lid, fc=color, ec="none")
        )
        for x in (left, left + box.width):
            self.axes.plot([x, x], [low + lid / 2, high - lid / 2], color=INK, lw=1.2)
        self.axes.add_patch(Ellipse((box.x, high - lid / 2), box.width, lid, **style))
        self._words(box.x, box.y - lid / 3, title, text)
        return box

    def step(self, box: Box, title: str, text: str = "", color: str = ACTION) -> Box:
        """Draw what is done, or what comes of it, as a rounded box."""
        left, low = box.side("left")[0], box.side("bottom")[1]
        shape = FancyBboxPatch(
            (left, low), box.width, box.height, "round,pad=0,rounding_size=0.12",
            facecolor=color, edgecolor=INK, lw=1.2,
        )  # fmt: skip
        self.axes.add_patch(shape)
        self._words(box.x, box.y, title, text)
        return box

    def _words(self, x: float, y: float, title: str, text: str) -> None:
        n_titles, n_lines = title.count("\n") + 1, text.count("\n") + 1 if text else 0
        height = 0.19 * n_titles + 0.165 * n_lines
        top = y + height / 2
        style = {"ha": "center", "va": "center", "color": INK}
        for i, line in enumerate(title.split("\n")):
            self.axes.text(x, top - 0.19 * (i + 0.5), line, size=10, weight="bold", **style)
        for i, line in enumerate(text.split("\n") if text else ()):
            low = top - 0.19 * n_titles - 0.165 * (i + 0.5)
            self.axes.text(x, low, line, size=8.5, **style)

    def arrow(self, *points: Point, dashed: bool = False) -> None:
        """Draw a line through the points, with a head at the last."""
        style = {"color": GREY if dashed else INK, "lw": 1.4, "ls": (0, (4, 2)) if dashed else "-"}
        if len(points) > 2:
            xs, ys = zip(*points[:-1], strict=True)
            self.axes.plot(xs, ys, solid_joinstyle="round", zorder=0, **style)
        head = FancyArrowPatch(
            points[-2], points[-1], arrowstyle="-|>", mutation_scale=13,
            shrinkA=0, shrinkB=1, joinstyle="miter", **style,
        )  # fmt: skip
        self.axes.add_patch(head)

    def note(self, x: float, y: float, text: str, ha: str = "center") -> None:
        """Write beside an arrow."""
        self.axes.text(x, y, text, ha=ha, va="center", size=8.5, color=GREY, style="italic")

    def heading(self, x: float, y: float, text: str) -> None:
        """Write above a part."""
        self.axes.text(x, y, text, ha="left", va="center", size=9, color=GREY, weight="bold")

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.svg and `name`.png."""
        self.figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        self.figure.savefig(folder / f"{name}.png", dpi=160, metadata={"Software": None})
        plt.close(self.figure)


def project_script_dataflow() -> Diagram:
    """Show the whole: sound generation on top, prediction below, matching to the right."""
    d = Diagram(10.4, 5.0)
    recorded = d.store(Box(1.45, 2.5, 2.1, 1.15), "RECORDED\nAUDIO DB", "your recordings")
    gan = d.step(Box(4.75, 3.85, 2.3, 0.95), "UnaGAN + MelGAN", "sound generation,\noptional")
    raw = d.store(Box(8.65, 3.85, 2.5, 1.2), "RAW GENERATED\nAUDIO DB", "or any large folder")
    found = d.step(Box(4.75, 2.5, 2.3, 0.75), "descriptors", "MFCC and others", NUMBER)
    model = d.step(Box(4.75, 1.1, 2.3, 0.95), "SEQUENCER GAN", "one of four\ndescriptor models")
    query = d.step(Box(8.65, 2.3, 2.5, 0.75), "query function", "nearest, and joining well")
    new = d.step(Box(8.65, 0.85, 2.5, 0.85), "output audio", "WAV, playlist, report", RESULT)
    d.arrow((1.45, 3.075), (1.45, 3.85), gan.side("left"))
    d.note(2.55, 4.02, "train")
    d.arrow(gan.side("right"), raw.side("left"))
    d.note(6.65, 4.02, "generate")
    d.arrow(recorded.side("right"), found.side("left"))
    d.note(3.05, 2.67, "extract")
    d.arrow(found.side("bottom"), model.side("top"))
    d.note(4.88, 1.85, "train, then continue", "left")
    d.arrow(model.side("right"), (6.9, 1.1), (6.9, 2.3), query.side("left"))
    d.note(6.8, 1.72, "predicted\ndescriptors", "right")
    d.arrow(raw.side("bottom"), query.side("top"))
    d.note(8.78, 2.95, "descriptors", "left")
    d.arrow(query.side("bottom"), new.side("top"))
    d.note(8.78, 1.6, "audio segments", "left")
    return d


def descriptor_model_predict_workflow() -> Diagram:
    """Show how a prediction becomes sound: two databases meet in the query function."""
    d = Diagram(10.4, 5.4)
    audio = d.store(Box(1.45, 4.1, 2.1, 1.2), "audio database", "RAW GENERATED\nAUDIO DB")
    one = d.step(
        Box(5.0, 4.1, 2.7, 0.95),
        "descriptor database I",
        "each frame with its\nID reference",
        NUMBER,
    )
    new = d.step(
        Box(8.9, 4.1, 2.3, 0.95), "new audio file", "segments merged\nwith crossfades", RESULT
    )
    query = d.step(
        Box(5.0, 2.6, 2.7, 0.85), "query function", "nearest neighbours,\nunits that join well"
    )
    hit = d.step(
        Box(8.9, 2.6, 2.3, 0.85), "playlist", "file, position, length\nof each segment", NUMBER
    )
    given = d.store(Box(1.45, 0.95, 2.1, 1.2), "Prediction DB", "recordings to\nbe continued")
    two = d.step(
        Box(5.0, 0.95, 2.7, 0.95),
        "descriptor database II",
        "descriptor input:\nthe music so far",
        NUMBER,
    )
    model = d.step(
        Box(8.9, 0.95, 2.3, 0.95), "descriptor model", "SEQUENCER GAN,\nfound by its run id"
    )
    d.arrow(audio.side("right"), one.side("left"))
    d.note(3.05, 4.27, "extract")
    d.arrow(given.side("right"), two.side("left"))
    d.note(3.05, 1.12, "extract")
    d.arrow(two.side("right"), model.side("left"))
    d.note(7.02, 1.12, "context")
    d.arrow(model.side("top"), (8.9, 1.8), (5.0, 1.8), query.side("bottom"))
    d.note(7.02, 1.95, "predicted descriptors")
    d.arrow(one.side("bottom"), query.side("top"))
    d.note(5.12, 3.33, "candidates", "left")
    d.arrow(query.side("right"), hit.side("left"))
    d.note(7.02, 2.77, "ID references")
    d.arrow(hit.side("top"), new.side("bottom"))
    d.note(9.02, 3.33, "concatenate", "left")
    d.arrow(audio.side("top"), (1.45, 5.0), (8.9, 5.0), new.side("top"), dashed=True)
    d.note(5.0, 5.15, "audio segments")
    return d


def sound_generation_process() -> Diagram:
    """Show how a small set of recordings becomes a large folder of sound."""
    d = Diagram(10.4, 4.3)
    d.heading(0.4, 4.05, "TRAINING")
    recorded = d.store(Box(1.45, 3.1, 2.1, 1.15), "RECORDED\nAUDIO DB", "the same for both")
    mel = d.step(Box(4.6, 3.1, 1.9, 0.75), "mel spectrograms", "one front end", NUMBER)
    unagan = d.step(Box(8.3, 3.6, 2.9, 0.7), "train UnaGAN", "noise becomes spectrograms")
    melgan = d.step(Box(8.3, 2.6, 2.9, 0.7), "train MelGAN (or Vocos)", "spectrograms become sound")
    d.axes.plot([0.3, 10.1], [1.72, 1.72], color=GREY, lw=0.8)
    d.heading(0.4, 1.5, "GENERATION")
    noise = d.step(Box(1.0, 0.75, 1.2, 0.75), "noise", "by a seed", NUMBER)
    first = d.step(Box(3.15, 0.75, 1.7, 0.75), "UnaGAN", "generator_run_id")
    second = d.step(Box(6.05, 0.75, 1.7, 0.75), "MelGAN", "vocoder_run_id")
    raw = d.store(Box(8.85, 0.8, 2.3, 1.15), "RAW GENERATED\nAUDIO DB", "as large as you like")
    d.arrow(recorded.side("right"), mel.side("left"))
    d.arrow(mel.side("right"), (6.2, 3.1), (6.2, 3.6), unagan.side("left"))
    d.arrow(mel.side("right"), (6.2, 3.1), (6.2, 2.6), melgan.side("left"))
    d.arrow(noise.side("right"), first.side("left"))
    d.arrow(first.side("right"), second.side("left"))
    d.note(4.6, 0.92, "spectrogram")
    d.arrow(second.side("right"), (raw.side("left")[0], 0.75))
    d.note(7.3, 0.92, "sound")
    return d


DIAGRAMS = (project_script_dataflow, descriptor_model_predict_workflow, sound_generation_process)


def main(folder: Path = OUTPUT) -> None:
    """Draw all of them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for diagram in DIAGRAMS:
            diagram().save(folder, diagram.__name__)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
